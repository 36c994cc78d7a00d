// panva's oidc-provider under a path, as one tenant's application has it: PKCE required, consent asked, RFC 9207.
// usage: node provider.mjs SETTINGS.json
//   {listen: [host, port], issuer, key, cert, client: {id, secret, redirect}, people: {login: claims}}
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const { client, people } = settings;
const prefix = new URL(settings.issuer).pathname;

const provider = new Provider(settings.issuer, {
  clients: [{ client_id: client.id, client_secret: client.secret, redirect_uris: [client.redirect] }],
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  pkce: { required: () => true },
  routes: { authorization: '/authorize', token: '/token', userinfo: '/userinfo', jwks: '/jwks' },
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: true } },
  async findAccount(_context, login) {
    const claims = people[login];
    return claims && { accountId: login, claims: async () => ({ sub: login, ...claims }) };
  },
});

const answer = provider.callback();
createServer({ key: readFileSync(settings.key), cert: readFileSync(settings.cert) }, (request, response) => {
  if (!request.url.startsWith(`${prefix}/`)) {
    response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>No such page</h1>');
    return;
  }
  request.originalUrl = request.url;
  request.url = request.url.slice(prefix.length);
  answer(request, response);
}).listen(settings.listen[1], settings.listen[0], () => console.log('listening'));
