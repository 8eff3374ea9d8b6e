/** A gateway around `deploy/gateway/kwork.ts` itself, for `scripts/try-gateway`. Speaks like `proxy.mjs`. */
import express, { type Request } from 'express';
import type { AddressInfo } from 'node:net';
import { kworkRoute } from './kwork';
import { habitsOf, verifiedUser } from './verified.mjs';

const [service, secret] = process.argv.slice(2);
const known = new Set(['parsed-body']);
const app = express();
app.disable('x-powered-by');
app.disable('etag');
const parse = express.json({ strict: false });

app.use('/api/v1/kwork', (request, response, next) => {
  const habits: string[] = habitsOf(request);
  if (habits.some((habit) => !known.has(habit))) {
    response.status(501).setHeader('X-Unknown-Habit', '1');
    response.end();
    return;
  }
  (request as Request & { user?: unknown }).user = verifiedUser(request, secret);
  if (habits.includes('parsed-body')) parse(request, response, next);
  else next();
});
app.use('/api/v1/kwork', kworkRoute({ service }));

const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
process.stdin.on('end', () => process.exit()).resume();
