'use strict';

const http = require('node:http');
const https = require('node:https');
const timers = require('node:timers/promises');
const { isLoopback, proxyFor, tunnel } = require('./proxy.js');

const maxAttempts = 4;
const maxSize = 100 << 20; // bytes
const idleTimeout = 30_000; // ms
const totalTimeout = 300_000; // ms, for one attempt

// StatusError is a response with an HTTP status other than 200.
class StatusError extends Error {
  constructor(url, status) {
    super(`${redact(url)}: HTTP status ${status}`);
    this.status = status;
  }
}

// FinalError is an error after which a retry is of no use.
class FinalError extends Error {}

// download returns the content of a URL as a Buffer. It retries connection errors and the HTTP
// statuses 408, 429 and 5xx. It calls log before each retry.
async function download(url, env, log) {
  for (let n = 1; ; n++) {
    try {
      return await get(new URL(url), env);
    } catch (error) {
      if (n === maxAttempts || !isRetryable(error)) {
        throw error;
      }
      // With jitter, the jobs of a matrix do not retry at the same time.
      const seconds = 2 ** (n - 1) * (0.75 + Math.random() / 2);
      log(`${error.message}; retrying in ${seconds.toFixed(1)} s`);
      await timers.setTimeout(seconds * 1000);
    }
  }
}

// isRetryable reports whether a retry may succeed.
function isRetryable(error) {
  if (error.status) {
    return [408, 429].includes(error.status) || error.status >= 500;
  }
  return !(error instanceof FinalError);
}

// redact returns a URL for messages. It omits the user information, because a mirror's URL may have a
// password, and the query, because the URL that GitHub redirects to has a signature.
function redact(url) {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

async function get(url, env) {
  const signal = AbortSignal.timeout(totalTimeout);
  const first = url;
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await open(url, env, signal);
      const { statusCode: status, headers } = response;
      if (status >= 300 && status < 400 && headers.location && redirects < 5) {
        response.destroy();
        url = new URL(headers.location, url);
        // A redirect to http is allowed only from http to a loopback server.
        const isLoopbackHTTP = url.protocol === 'http:' && isLoopback(url.hostname);
        if (url.protocol !== 'https:' && !(first.protocol === 'http:' && isLoopbackHTTP)) {
          throw new FinalError(`${redact(first)}: it redirects to ${redact(url)}, which is not https`);
        }
        continue;
      }
      if (status !== 200) {
        response.destroy();
        throw new StatusError(url, status);
      }
      return await body(response);
    }
  } catch (error) {
    if (error instanceof StatusError || error instanceof FinalError) {
      throw error;
    }
    const reason = signal.aborted
      ? `no complete response within ${totalTimeout / 1000} s`
      : error.message || error.code;
    if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(error.code)) {
      throw new FinalError(`${redact(url)}: ${reason}; ` +
        'if the network has its own CA, set NODE_EXTRA_CA_CERTS to its file');
    }
    const failure = new Error(`${redact(url)}: ${reason}`, { cause: error });
    throw Object.assign(failure, { status: error.status }); // the HTTP status of a proxy
  }
}

// open requests a URL and returns the response, whose body has not been read.
async function open(url, env, signal) {
  let proxy;
  try {
    proxy = proxyFor(url, env);
  } catch (error) {
    throw new FinalError(error.message);
  }
  const socket = proxy && (await tunnel(proxy, url, signal));
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).get(url, {
      signal,
      headers: { 'user-agent': 'docker-credential-ecr-oidc-action' },
      ...(socket ? { createConnection: () => socket } : { agent: false }),
    });
    request.once('response', resolve);
    request.once('error', reject);
    request.setTimeout(idleTimeout, () => {
      request.destroy(new Error(`no data for ${idleTimeout / 1000} s`));
    });
  });
}

async function body(response) {
  const parts = [];
  let size = 0;
  for await (const part of response) {
    size += part.length;
    if (size > maxSize) {
      throw new FinalError(`the response is larger than ${maxSize >> 20} MiB`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

// isReachable reports whether a server responds to a request for a URL, with any status.
async function isReachable(url, env) {
  try {
    (await open(new URL(url), env, AbortSignal.timeout(5_000))).destroy();
    return true;
  } catch {
    return false;
  }
}

module.exports = { StatusError, download, isReachable };
