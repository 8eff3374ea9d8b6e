// What both gateways of the tests share: the user of a token they verify, and the habits a test asks for.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** The user of the request's token (HS256), as a gateway's authentication leaves it; undefined without a good one. */
export function verifiedUser(request, secret) {
  const [, token] = (request.headers.authorization ?? '').split(' ');
  const [head, body, signature] = (token ?? '').split('.');
  if (!signature) return undefined;
  const wanted = createHmac('sha256', secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
  return { id: claims.sub, email: claims.email, tenantId: claims.tenant_id, role: claims.role };
}

/** `x-habits: a, b`; the header itself goes no further. */
export function habitsOf(request) {
  const named = request.headers['x-habits'] ?? '';
  delete request.headers['x-habits'];
  return named.split(',').map((name) => name.trim()).filter(Boolean);
}
