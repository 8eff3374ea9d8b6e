// A gateway on plain node:http that does what deploy/gateway/kwork.ts does, with the odd habits a test asks for.
//
//   node proxy.mjs http://127.0.0.1:8000 SECRET      first line of stdout: {"port": …}; ends with its stdin
//
// `GET /sockets` tells how many connections to the service it has opened so far.
import http from 'node:http';
import zlib from 'node:zlib';
import { habitsOf, verifiedUser } from './verified.mjs';

const PREFIX = '/api/v1/kwork';
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade'];
const IDENTITY = ['x-tenant-id', 'x-user-id', 'x-user-email', 'x-user-role'];
const [service, secret] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
let sockets = 0;

const server = http.createServer(serve);
server.on('checkContinue', serve); // the service says "continue" itself: `Expect` goes on
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on('end', () => process.exit()).resume();

async function serve(request, response) {
  if (request.url === '/sockets') return response.end(JSON.stringify({ sockets }));
  if (!request.url.startsWith(PREFIX)) return response.writeHead(404).end();
  const habits = new Set(habitsOf(request));
  const isCrmEvent = request.method === 'POST' && /^\/crm\/events\/[^/]+\/?$/.test(request.url.slice(PREFIX.length));
  if (habits.has('demands-token') && !isCrmEvent && !verifiedUser(request, secret))
    return response.writeHead(401, { 'X-Refused-By': 'gateway' }).end();
  const body = habits.has('parsed-body') ? await parsed(request, habits) : undefined;
  const outgoing = http.request(service + pathOf(request.url, habits), {
    method: request.method,
    headers: headersOf(request, habits, body),
    agent: habits.has('one-connection-each') ? undefined : agent,
  });
  outgoing.on('socket', (socket) => {
    if (!socket.counted) sockets += 1;
    socket.counted = true;
  });
  outgoing.on('continue', () => response.writeContinue());
  outgoing.on('response', (answer) => give(answer, request, response, habits));
  outgoing.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  response.on('close', () => response.writableFinished || outgoing.destroy());
  request.on('error', () => outgoing.destroy());
  if (body === undefined) request.pipe(outgoing);
  else outgoing.end(body);
}

function pathOf(url, habits) {
  const [, path, query] = /^([^?]*)(.*)$/.exec(url);
  const rest = habits.has('keeps-prefix') ? path : '/api/v1' + path.slice(PREFIX.length);
  if (habits.has('adds-slash')) return rest.replace(/\/*$/, '/') + query;
  if (habits.has('cuts-slash')) return rest.replace(/\/+$/, '') + query;
  return rest + query;
}

/** As pairs, so that a name may come twice. */
function headersOf(request, habits, body) {
  const dropped = new Set(habits.has('forwards-hop-by-hop') ? ['transfer-encoding'] : HOP_BY_HOP);
  if (!habits.has('keeps-client-identity')) IDENTITY.forEach((name) => dropped.add(name));
  if (body !== undefined) ['content-length', 'expect'].forEach((name) => dropped.add(name));
  const pairs = Object.entries(request.headers).filter(([name]) => !dropped.has(name));
  if (body === undefined && request.headers['transfer-encoding']) pairs.push(['Transfer-Encoding', 'chunked']);
  if (body !== undefined) pairs.push(habits.has('chunked') ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(body.length)]);
  if (habits.has('forwards-hop-by-hop'))
    pairs.push(['Keep-Alive', 'timeout=5'], ['TE', 'trailers'], ['Upgrade', 'h2c'], ['Proxy-Authorization', 'Basic eA==']);
  pairs.push(['X-Forwarded-For', request.socket.remoteAddress], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Prefix', PREFIX]);
  return [...pairs, ...identity(verifiedUser(request, secret), habits)].flat();
}

function identity(user, habits) {
  if (!user) return [];
  const pairs = [
    ['X-Tenant-ID', user.tenantId],
    ['X-User-ID', user.id],
    ['X-User-Email', emailIn(user.email ?? '', habits)],
    ['X-User-Role', user.role],
  ];
  if (habits.has('doubles-headers')) return [...pairs, ...pairs];
  if (habits.has('joins-headers')) return pairs.map(([name, value]) => [name, `${value}, ${value}`]);
  return pairs;
}

function emailIn(email, habits) {
  if (habits.has('raw-utf8')) return Buffer.from(email, 'utf8').toString('latin1'); // the bytes of UTF-8
  return /^[\x20-\x7e]*$/.test(email) ? email : encodeURIComponent(email);
}

/** What a body parser makes of a JSON body, and how it is written again: other order, spaces and escapes. */
async function parsed(request, habits) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (!/json/.test(request.headers['content-type'] ?? '')) return Buffer.concat(chunks);
  const value = text ? JSON.parse(text, habits.has('reorders') ? reversed : undefined) : {}; // Express: no body is {}
  const written = JSON.stringify(value, null, habits.has('reorders') ? 3 : 0);
  return Buffer.from(habits.has('reorders') ? escaped(written) : written);
}

const reversed = (_key, value) =>
  value && typeof value === 'object' && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).reverse()) : value;

const escaped = (text) =>
  text.replace(/[^\x00-\x7e]/g, (letter) => '\\u' + letter.charCodeAt(0).toString(16).padStart(4, '0'));

function give(answer, request, response, habits) {
  const headers = { ...answer.headers };
  delete headers['transfer-encoding'];
  delete headers.connection;
  const compresses = habits.has('compresses') && !/no-transform/.test(headers['cache-control'] ?? '');
  if (compresses) {
    headers['content-encoding'] = 'gzip';
    delete headers['content-length'];
  }
  response.writeHead(answer.statusCode, headers);
  response.flushHeaders();
  answer.on('error', () => response.destroy());
  if (compresses) answer.pipe(zlib.createGzip()).pipe(response);
  else answer.pipe(response);
}
