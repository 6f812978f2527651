'use strict';

const http = require('node:http');
const https = require('node:https');
const timers = require('node:timers/promises');
const { isLoopback, proxyFor, tunnel } = require('./proxy.js');

const tries = 4;
const largest = 100 << 20;
const idle = 30_000; // ms
const whole = 300_000;

// StatusError is an answer that is not what was asked for.
class StatusError extends Error {
  constructor(url, status) {
    super(`${shown(url)}: the server answered ${status}`);
    this.status = status;
  }
}

// FinalError is a fault that does not pass.
class FinalError extends Error {}

// download gets what is at a URL, and tries again when a fault may pass: no connection, 408, 429, 5xx.
async function download(url, env, log) {
  for (let n = 1; ; n++) {
    try {
      return await get(new URL(url), env);
    } catch (error) {
      if (n === tries || !passing(error)) {
        throw error;
      }
      const seconds = 2 ** (n - 1) * (0.75 + Math.random() / 2); // so that a matrix does not come back all at once
      log(`${error.message}; trying again in ${seconds.toFixed(1)} s`);
      await timers.setTimeout(seconds * 1000);
    }
  }
}

// passing says whether the next try may do better.
function passing(error) {
  if (error.status) {
    return [408, 429].includes(error.status) || error.status >= 500;
  }
  return !(error instanceof FinalError);
}

// shown is a URL for people: a mirror's may have a password in it, and one that GitHub redirects to a signature.
function shown(url) {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

async function get(url, env) {
  const signal = AbortSignal.timeout(whole);
  const first = url;
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await open(url, env, signal);
      const { statusCode: status, headers } = response;
      if (status >= 300 && status < 400 && headers.location && redirects < 5) {
        response.destroy();
        url = new URL(headers.location, url);
        if (url.protocol !== 'https:' && !(first.protocol === 'http:' && url.protocol === 'http:' && isLoopback(url.hostname))) {
          throw new FinalError(`${shown(first)}: it leads to ${shown(url)}, which is not https`);
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
    const reason = signal.aborted ? `it took longer than ${whole / 1000} s` : error.message || error.code;
    if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(error.code)) {
      throw new FinalError(`${shown(url)}: ${reason}; where the network has a CA of its own, NODE_EXTRA_CA_CERTS names its file`);
    }
    throw Object.assign(new Error(`${shown(url)}: ${reason}`, { cause: error }), { status: error.status }); // a proxy's
  }
}

// open asks for a URL and returns the answer, its body still to be read.
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
    request.setTimeout(idle, () => request.destroy(new Error(`nothing came for ${idle / 1000} s`)));
  });
}

async function body(response) {
  const parts = [];
  let size = 0;
  for await (const part of response) {
    size += part.length;
    if (size > largest) {
      throw new FinalError(`an answer is larger than ${largest >> 20} MiB`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

// answers says whether there is a server at a URL at all, whatever it says.
async function answers(url, env) {
  try {
    (await open(new URL(url), env, AbortSignal.timeout(5_000))).destroy();
    return true;
  } catch {
    return false;
  }
}

module.exports = { StatusError, answers, download };
