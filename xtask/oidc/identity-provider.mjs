// A real OpenID provider for the stage `oidc`: oauth2-mock-server, with what it claims and signs in the stage's hand.
// It writes its issuer as one line of JSON. A line of JSON that it reads is how it is to be from then on, and is answered
// with `{}`; each exchange of a code is told as `{"signed": <algorithm>}`.
import { createInterface } from 'node:readline';
import { OAuth2Server } from 'oauth2-mock-server';

const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const read = (text) => JSON.parse(Buffer.from(text, 'base64url').toString());

const server = new OAuth2Server();
// Each exchange signs two tokens, with the keys in turn: so the ID tokens are signed with the second, the first, the third.
await server.issuer.keys.generate('RS256', { kid: 'one' });
await server.issuer.keys.generate('ES256', { kid: 'two' });
await server.issuer.keys.generate('RS256', { kid: 'three' });
await server.start(0, '127.0.0.1');

let how = {};
server.service.on('beforeTokenSigning', (token) => {
  Object.assign(token.payload, { sub: '248289761001', email: 'ada@example.com', email_verified: true }, how.claims);
});
server.service.on('beforeResponse', (response) => {
  const [header, claims, signature] = response.body.id_token.split('.');
  tell({ signed: read(header).alg });
  if (how.status) response.statusCode = how.status;
  if (how.forge === 'none') response.body.id_token = `${part({ alg: 'none' })}.${claims}.`;
  if (how.forge === 'claims') response.body.id_token = `${header}.${part({ ...read(claims), email: 'eve@example.com' })}.${signature}`;
  if (how.forge === 'key') response.body.id_token = `${part({ ...read(header), kid: 'made up' })}.${claims}.${signature}`;
});

createInterface({ input: process.stdin })
  .on('line', (line) => {
    how = JSON.parse(line);
    tell({});
  })
  .on('close', () => process.exit());
tell({ issuer: server.issuer.url });
