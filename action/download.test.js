'use strict';

// Tests of the download: errors, redirects, mirrors and proxies.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const test = require('node:test');
const {
  Job,
  archiveName,
  bad,
  checksums,
  good,
  mirror,
  release,
  scratch,
  secrets,
  serve,
  version,
} = require('./testdata/harness.js');

const registries = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const folder = `/v${version}/`;

for (const [name, files, message] of [
  [
    'no such version',
    { 'checksums.txt': 404 },
    /checksums\.txt: HTTP status 404: release 0\.1\.0 does not exist, or has no archive for /,
  ],
  [
    'not listed',
    { 'checksums.txt': checksums({}) },
    /release 0\.1\.0 has no archive for .*: checksums\.txt does not list docker-credential-ecr-oidc_0\.1\.0_/,
  ],
  [
    'archive missing',
    { [archiveName]: 404 },
    /HTTP status 404: release 0\.1\.0 does not exist, or has no archive for /,
  ],
  ['forbidden', { 'checksums.txt': 403 }, /checksums\.txt: HTTP status 403$/],
]) {
  test(`${name}: an error without a retry`, async (t) => {
    const from = await mirror(
      t,
      Object.fromEntries(Object.entries(files).map(([file, reply]) => [folder + file, reply])),
    );
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
    const { ran } = await job.main({ registries });
    bad(ran, message);
    assert.ok(from.requests.length <= 2, from.requests.join());
  });
}

test('retryable errors: retries with backoff', async (t) => {
  const { archive } = release();
  const from = await mirror(t, {
    [`${folder}checksums.txt`]: (n) => (n === 1 ? 503 : checksums({ [archiveName]: archive })),
    [folder + archiveName]: (n, request) => {
      if (n === 1) {
        request.socket.destroy();
        return 500;
      }
      return n === 2 ? 429 : archive;
    },
  });
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  const { ran } = await job.main({ registries });
  good(ran);
  assert.match(ran.output, /checksums\.txt: HTTP status 503; retrying in \d\.\d s\n/);
  assert.match(ran.output, /: (socket hang up|read ECONNRESET); retrying in/);
  assert.match(ran.output, /: HTTP status 429; retrying in/);
});

test('persistent errors: four attempts', async (t) => {
  const from = await mirror(t, { [`${folder}checksums.txt`]: 500 });
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  bad((await job.main({ registries })).ran, /checksums\.txt: HTTP status 500$/);
  assert.strictEqual(from.requests.length, 4);
});

test('redirects: followed, with a limit', async (t) => {
  const { archive } = release();
  const from = await mirror(t, {
    [folder + archiveName]: (n) => ({ location: `/elsewhere?signature=${secrets.mirror}` }),
    [`/elsewhere?signature=${secrets.mirror}`]: archive,
  });
  good((await new Job(t, { ECR_OIDC_MIRROR: from.url }).main({ registries })).ran);

  from.files[folder + archiveName] = () => ({ location: 'http://mirror.test/x' });
  bad(
    (await new Job(t, { ECR_OIDC_MIRROR: from.url }).main({ registries })).ran,
    /: it redirects to http:\/\/mirror\.test\/x, which is not https$/,
  );

  from.files[folder + archiveName] = () => ({ location: folder + archiveName });
  bad((await new Job(t, { ECR_OIDC_MIRROR: from.url }).main({ registries })).ran, /HTTP status 302$/);
});

test('a mirror may have a path and a login; the login is not logged', async (t) => {
  const { archive } = release();
  let authorization;
  const from = await serve(t, {
    [`/a/b${folder}checksums.txt`]: (n, request) => {
      authorization = request.headers.authorization;
      return checksums({ [archiveName]: archive });
    },
  });
  const url = from.url.replace('//', `//jane:${secrets.mirror}@`) + '/a/b/';
  bad(
    (await new Job(t, { ECR_OIDC_MIRROR: url }).main({ registries })).ran,
    /http:\/\/127\.0\.0\.1:\d+\/a\/b\/v0\.1\.0\/docker-credential-ecr-oidc_.*: HTTP status 404/,
  );
  assert.strictEqual(authorization, 'Basic ' + Buffer.from(`jane:${secrets.mirror}`).toString('base64'));
  for (const [url, message] of [
    [`ftp://jane:${secrets.mirror}@mirror.test`, /ECR_OIDC_MIRROR begins with ftp:; it must be https:\/\/$/],
    [
      `http://jane:${secrets.mirror}@mirror.test`,
      /ECR_OIDC_MIRROR begins with http:; it must be https:\/\/$/,
    ],
    [`jane:${secrets.mirror}@mirror.test`, /ECR_OIDC_MIRROR begins with jane:; it must be https:\/\/$/],
    [`//mirror.test/${secrets.mirror}`, /ECR_OIDC_MIRROR is not a URL; it must begin with https:\/\/$/],
  ]) {
    bad((await new Job(t, { ECR_OIDC_MIRROR: url }).main({ registries })).ran, message);
  }
});

test('github.com through HTTPS_PROXY with NODE_EXTRA_CA_CERTS', async (t) => {
  const tls = certificate(t, 'github.com');
  if (!tls) {
    return;
  }
  const { archive } = release();
  const downloads = `/ecr-oidc/docker-credential-ecr-oidc/releases/download${folder}`;
  const files = {
    [`${downloads}checksums.txt`]: checksums({ [archiveName]: archive }),
    [downloads + archiveName]: archive,
  };
  const github = https.createServer(tls, (request, response) => {
    const content = files[request.url];
    if (typeof content === 'string' && content.startsWith('http:')) {
      response.writeHead(302, { location: content });
    } else {
      response.writeHead(content ? 200 : 404);
    }
    response.end(content);
  });
  const requests = [];
  const proxy = http.createServer().on('connect', (request, socket, head) => {
    requests.push([request.url, request.headers['proxy-authorization']]);
    if (request.headers['proxy-authorization'] !== login) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.unshift(head);
    github.emit('connection', socket);
  });
  const login = 'Basic ' + Buffer.from(`jane:${secrets.mirror}`).toString('base64');
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const address = `127.0.0.1:${proxy.address().port}`;

  const env = {
    HTTPS_PROXY: `http://jane:${secrets.mirror}@${address}`,
    NO_PROXY: 'example.com',
    NODE_EXTRA_CA_CERTS: tls.file,
  };
  good((await new Job(t, env).main({ registries })).ran);
  assert.deepStrictEqual(requests, [
    ['github.com:443', login],
    ['github.com:443', login],
  ]);

  // With NODE_USE_ENV_PROXY, Node does not connect to the proxy through the proxy.
  requests.length = 0;
  good((await new Job(t, { ...env, NODE_USE_ENV_PROXY: '1' }).main({ registries })).ran);
  assert.deepStrictEqual(requests, [
    ['github.com:443', login],
    ['github.com:443', login],
  ]);

  // A redirect from https to http is an error.
  const listed = files[downloads + archiveName];
  files[downloads + archiveName] = `http://127.0.0.1:1/x?signature=${secrets.mirror}`;
  bad(
    (await new Job(t, env).main({ registries })).ran,
    /\.(tar\.gz|zip): it redirects to http:\/\/127\.0\.0\.1:1\/x, which is not https$/,
  );
  files[downloads + archiveName] = listed;

  // Without the CA, the error names the variable.
  bad(
    (await new Job(t, { ...env, NODE_EXTRA_CA_CERTS: '' }).main({ registries })).ran,
    /: self-signed certificate;(.*;)? if the network has its own CA, set NODE_EXTRA_CA_CERTS to its file$/,
  );
  requests.length = 0;
  bad(
    (await new Job(t, { ...env, HTTPS_PROXY: `http://${address}` }).main({ registries })).ran,
    /: the proxy returned 407 for CONNECT github\.com:443$/,
  );
  assert.strictEqual(requests.length, 1);
});

// certificate creates a key and a certificate for a host with openssl. Without openssl, it skips the test.
function certificate(t, host) {
  const [key, file] = ['key.pem', 'cert.pem'].map((name) =>
    path.join(fs.mkdtempSync(path.join(scratch, 'tls-')), name),
  );
  try {
    childProcess.execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        '-subj',
        `/CN=${host}`,
        '-addext',
        `subjectAltName=DNS:${host}`,
        '-keyout',
        key,
        '-out',
        file,
      ],
      { stdio: 'ignore' },
    );
  } catch (error) {
    t.skip(`openssl cannot create a certificate: ${error.message}`);
    return undefined;
  }
  return { key: fs.readFileSync(key), cert: fs.readFileSync(file), file };
}
