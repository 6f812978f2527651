'use strict';

// Proxies by HTTPS_PROXY and NO_PROXY. Node reads them only where NODE_USE_ENV_PROXY was set before it started, and
// http.setGlobalProxyFromEnv is missing from the Node 24 of many a runner (nodejs/node#57165, #60953), so the tunnel is
// asked for here.

const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');

// proxyFor returns the URL of the proxy through which url is reached; undefined when there is none.
function proxyFor(url, env) {
  const value = env.https_proxy || env.HTTPS_PROXY || env.all_proxy || env.ALL_PROXY;
  if (url.protocol !== 'https:' || !value || isLoopback(url.hostname) || excepted(url, env.no_proxy || env.NO_PROXY || '')) {
    return undefined;
  }
  let proxy;
  try {
    proxy = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  } catch {
    throw new Error('HTTPS_PROXY is not a URL'); // which may hold a password, and is not shown
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw new Error(`HTTPS_PROXY is a proxy of another kind, ${proxy.protocol}//; it must be http or https`);
  }
  return proxy;
}

function isLoopback(host) {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}

// excepted says whether NO_PROXY names a URL's host: itself, a domain that it is in, or *; with or without a port.
function excepted(url, list) {
  const host = url.hostname.toLowerCase();
  const port = url.port || '443';
  return list.split(/[\s,]+/).filter(Boolean).some((entry) => {
    const [, name, only] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase());
    if (only && only !== port) {
      return false;
    }
    const domain = name.replace(/^\*?\./, '');
    return name === '*' || host === domain || host.endsWith('.' + domain);
  });
}

// tunnel asks proxy for a connection to the host of an https URL, and returns it with TLS inside.
function tunnel(proxy, url, signal) {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const target = `${url.hostname}:${url.port || 443}`;
  const headers = { host: target };
  if (proxy.username) {
    const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    headers['proxy-authorization'] = 'Basic ' + Buffer.from(login).toString('base64');
  }
  return new Promise((resolve, reject) => {
    const client = proxy.protocol === 'https:' ? https : http;
    const request = client.request({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: target,
      headers,
      agent: false,
      signal,
    });
    request.once('connect', (response, socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        reject(Object.assign(new Error(`the proxy answered ${response.statusCode} to CONNECT ${target}`), { status: response.statusCode }));
        return;
      }
      resolve(tls.connect({ socket, host, servername: net.isIP(host) ? undefined : host, ALPNProtocols: ['http/1.1'] }));
    });
    request.once('error', (error) => reject(new Error(`reaching the proxy: ${error.message}`, { cause: error })));
    request.end();
  });
}

module.exports = { isLoopback, proxyFor, tunnel };
