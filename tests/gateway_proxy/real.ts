/** A gateway around `deploy/gateway/kwork.ts` itself, for `scripts/try-gateway`. Speaks like `proxy.mjs`. */
import express, { type Request, type RequestHandler } from 'express';
import type { AddressInfo } from 'node:net';
import { exceptCrmEvents, kworkRoute } from './kwork';
import { habitsOf, verifiedUser } from './verified.mjs';

const [service, secret] = process.argv.slice(2);
const known = new Set(['parsed-body', 'demands-token']);
const app = express();
app.disable('x-powered-by');
app.disable('etag');
const parse = express.json({ strict: false });
const demandToken: RequestHandler = (request, response, next) => {
  const asked = request as Request & { user?: unknown; demanding?: boolean };
  if (!asked.demanding || asked.user) return next();
  response.status(401).setHeader('X-Refused-By', 'gateway');
  response.end();
};

app.use('/api/v1/kwork', (request, response, next) => {
  const habits: string[] = habitsOf(request);
  if (habits.some((habit) => !known.has(habit))) {
    response.status(501).setHeader('X-Unknown-Habit', '1');
    response.end();
    return;
  }
  (request as Request & { user?: unknown }).user = verifiedUser(request, secret);
  (request as Request & { demanding?: boolean }).demanding = habits.includes('demands-token');
  if (habits.includes('parsed-body')) parse(request, response, next);
  else next();
});
app.use('/api/v1/kwork', exceptCrmEvents(demandToken), kworkRoute({ service }));

const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
process.stdin.on('end', () => process.exit()).resume();
