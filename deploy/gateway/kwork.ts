/**
 * The gateway's route to Kwork Service: `/api/v1/kwork/*` becomes `/api/v1/*` of the service.
 *
 *     import { exceptCrmEvents, kworkRoute } from './routes/kwork';
 *     app.use('/api/v1/kwork', exceptCrmEvents(authenticate), kworkRoute({ service: process.env.KWORK_SERVICE_URL }));
 *     app.use(express.json()); // below: what goes to the service stays as it was sent
 *
 * Needs express 4 or 5 and http-proxy-middleware 3. `authenticate` is the gateway's own: it verifies the token and
 * leaves the user in `req.user`. The token itself goes on in `Authorization`: the service verifies it once more and
 * takes the tenant from it; the headers set here must not contradict it (the service answers 403 `tenant_mismatch`).
 * Set `ROOT_PATH=/api/v1/kwork` at the service, so that its documentation names the gateway's addresses.
 */
import type { ClientRequest, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Request, RequestHandler } from 'express';
import { createProxyMiddleware, fixRequestBody } from 'http-proxy-middleware';

/** Whom the gateway has verified. */
export interface VerifiedUser {
  id: string;
  email?: string;
  tenantId: string;
  role: string;
}

export interface KworkRouteOptions {
  /** Where the service is, e.g. `http://kwork-service:8000`. */
  service?: string;
  /** Milliseconds without a byte from the service; the event stream gives a sign of life every 15 seconds. */
  silence?: number;
  /** Where the gateway keeps the verified user. */
  userOf?: (request: Request) => VerifiedUser | undefined;
}

const CRM_EVENTS = /^\/crm\/events\/[^/]+\/?$/;
const IDENTITY = ['x-tenant-id', 'x-user-id', 'x-user-email', 'x-user-role'] as const;

/**
 * CRMs tell of changes by `POST crm/events/{secret}`, and have no token of the gateway: the secret in the address is all
 * they have, and the service believes nothing of what they say. Every other request goes through `authenticate`.
 */
export function exceptCrmEvents(authenticate: RequestHandler): RequestHandler {
  return (request, response, next) => {
    if (request.method === 'POST' && CRM_EVENTS.test(request.path)) next();
    else authenticate(request, response, next);
  };
}

/** Mount it at `/api/v1/kwork`: Express cuts that prefix off. */
export function kworkRoute(options: KworkRouteOptions = {}): RequestHandler {
  const {
    service = 'http://kwork-service:8000',
    silence = 120_000,
    userOf = (request) => (request as Request & { user?: VerifiedUser }).user,
  } = options;
  return createProxyMiddleware<Request>({
    target: `${service.replace(/\/+$/, '')}/api/v1`,
    changeOrigin: true,
    xfwd: true,
    proxyTimeout: silence,
    on: {
      proxyReq(outgoing, request) {
        tellWhoItIs(outgoing, userOf(request));
        fixRequestBody(outgoing, request);
      },
      error(_error, request, response) {
        refuse(request, response);
      },
    },
  });
}

/** What a client says of itself never gets through. */
function tellWhoItIs(outgoing: ClientRequest, user: VerifiedUser | undefined): void {
  for (const name of IDENTITY) outgoing.removeHeader(name);
  if (!user) return;
  outgoing.setHeader('X-Tenant-ID', inHeader(user.tenantId));
  outgoing.setHeader('X-User-ID', inHeader(user.id));
  if (user.email) outgoing.setHeader('X-User-Email', inHeader(user.email));
  outgoing.setHeader('X-User-Role', inHeader(user.role));
}

/** Headers hold ASCII only; anything else is percent-encoded. */
function inHeader(value: string): string {
  return /^[\x20-\x7e]*$/.test(value) ? value : encodeURIComponent(value);
}

function refuse(request: Request, response: ServerResponse | Socket): void {
  if (response instanceof Socket) {
    response.destroy();
  } else if (response.headersSent) {
    response.destroy(); // half an answer must not look like a whole one
  } else {
    response.writeHead(503, { 'Content-Type': 'application/problem+json', 'Retry-After': '5' });
    response.end(
      JSON.stringify({
        type: 'about:blank',
        title: 'Service Unavailable',
        status: 503,
        detail: 'Kwork Service сейчас не отвечает. Повторите через несколько секунд.',
        code: 'service_unavailable',
        instance: request.originalUrl,
        retryable: true,
      }),
    );
  }
}
