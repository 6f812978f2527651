'use strict';

// Support for HTTPS_PROXY and NO_PROXY. Node reads these variables only if NODE_USE_ENV_PROXY is set
// before it starts, and http.setGlobalProxyFromEnv is missing in Node 24 of many runners
// (nodejs/node#57165, #60953). So this file opens the tunnel itself.

const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');

// proxyFor returns the URL of the proxy for url, or undefined if there is none.
function proxyFor(url, env) {
  const value = env.https_proxy || env.HTTPS_PROXY || env.all_proxy || env.ALL_PROXY;
  if (url.protocol !== 'https:' || !value || isLoopback(url.hostname) ||
    matchesNoProxy(url, env.no_proxy || env.NO_PROXY || '')) {
    return undefined;
  }
  let proxy;
  try {
    proxy = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  } catch {
    throw new Error('HTTPS_PROXY is not a URL'); // not quoted: it may contain a password
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw new Error(`HTTPS_PROXY is a ${proxy.protocol}// proxy; it must be http or https`);
  }
  return proxy;
}

function isLoopback(host) {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}

// matchesNoProxy reports whether NO_PROXY contains the host of a URL, a parent domain, or *. An entry may
// have a port.
function matchesNoProxy(url, list) {
  const host = url.hostname.toLowerCase();
  const port = url.port || '443';
  return list.split(/[\s,]+/).filter(Boolean).some((entry) => {
    const [, name, entryPort] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase());
    if (entryPort && entryPort !== port) {
      return false;
    }
    const domain = name.replace(/^\*?\./, '');
    return name === '*' || host === domain || host.endsWith('.' + domain);
  });
}

// tunnel returns a TLS connection to the host of an https URL through proxy, which it opens with CONNECT.
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
        const error = new Error(`the proxy returned ${response.statusCode} for CONNECT ${target}`);
        reject(Object.assign(error, { status: response.statusCode }));
        return;
      }
      const servername = net.isIP(host) ? undefined : host;
      resolve(tls.connect({ socket, host, servername, ALPNProtocols: ['http/1.1'] }));
    });
    request.once('error', (error) => {
      reject(new Error(`connecting to the proxy: ${error.message}`, { cause: error }));
    });
    request.end();
  });
}

module.exports = { isLoopback, proxyFor, tunnel };
