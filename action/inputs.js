'use strict';

// read returns the action's inputs. It throws an error if one of them is invalid, before the action
// changes anything.
function read(env) {
  const role = singleLine(env, 'role-to-assume');
  const version = singleLine(env, 'version').replace(/^v/, '');
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) {
    throw new Error(`version is ${JSON.stringify(version)}; use a release, such as 0.1.0, or omit it`);
  }
  const dockerConfig = singleLine(env, 'docker-config');
  if (dockerConfig !== 'job' && dockerConfig !== 'user') {
    throw new Error(`docker-config is ${JSON.stringify(dockerConfig)}; allowed are job and user`);
  }
  const dockerLogin = singleLine(env, 'docker-login') || 'false';
  if (dockerLogin !== 'true' && dockerLogin !== 'false') {
    throw new Error(`docker-login is ${JSON.stringify(dockerLogin)}; allowed are true and false`);
  }
  return {
    groups: groups(registries(text(env, 'registries'), role)),
    settings: {
      audience: singleLine(env, 'audience'),
      'session-name': singleLine(env, 'role-session-name'),
      'session-duration': singleLine(env, 'role-duration-seconds'),
      'allowed-account-ids': [...new Set(text(env, 'allowed-account-ids').split(/[\s,]+/))]
        .filter(Boolean).join(','),
    },
    version,
    dockerConfig,
    dockerLogin: dockerLogin === 'true',
    token: singleLine(env, 'github-token'),
    verifyRequired: verifyRequired(env),
  };
}

// verifyRequired reports whether the action must refuse a release whose provenance cannot be verified.
// This is a variable and not an input, so that the owner of a runner can set it for all jobs.
// install.sh and install.ps1 read it too.
function verifyRequired(env) {
  const value = (env.ECR_OIDC_VERIFY || '').trim();
  if (value !== '' && value !== 'required') {
    throw new Error(`ECR_OIDC_VERIFY is ${JSON.stringify(value)}; set it to "required", or unset it`);
  }
  return value === 'required';
}

// failed reports whether the job has failed. See job-status in action.yml.
function failed(env) {
  return singleLine(env, 'job-status') === 'failure';
}

// text returns an input. The runner sets a variable: INPUT_ and the name in upper case (actions/runner
// Handler.cs).
function text(env, name) {
  return (env[`INPUT_${name.toUpperCase()}`] || '').trim();
}

// singleLine returns an input that must be one line.
function singleLine(env, name) {
  const value = text(env, name);
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    throw new Error(`${name} contains a line break or another control character`);
  }
  return value;
}

// registries parses one HOST or HOST=ROLE per line. fallback is the role of the other registries. The
// command configure checks the hosts and roles.
function registries(lines, fallback) {
  const found = new Map(); // host → role
  const roles = new Map(); // account → role, as in the configuration file
  lines.split(/\r\n|\r|\n/).forEach((line, i) => {
    const at = `registries, line ${i + 1}:`;
    line = line.trim();
    if (line === '') {
      return;
    }
    if (/[\u0000-\u001f\u007f]/.test(line)) {
      throw new Error(`${at} it contains a control character`);
    }
    const equals = line.indexOf('=');
    const host = equals < 0 ? line : line.slice(0, equals).trim();
    const own = equals < 0 ? '' : line.slice(equals + 1).trim();
    if (host === '') {
      throw new Error(`${at} ${JSON.stringify(line)} has no registry before "="`);
    }
    if (/\s/.test(host)) {
      throw new Error(`${at} ${JSON.stringify(host)} contains a space; use one line per registry`);
    }
    if (equals >= 0 && own === '') {
      throw new Error(`${at} ${JSON.stringify(line)} has no role after "="; ` +
        'check that its variable or secret is set');
    }
    const role = own || fallback;
    const account = (/^(?:https?:\/\/)?(\d{12})\./.exec(host) || [undefined, host])[1];
    if (roles.has(account) && roles.get(account) !== role) {
      throw new Error(
        `${at} account ${account} already has another role, and one role applies to all its registries; ` +
          `if steps need different roles, set ECR_OIDC_ROLE_${account} in their env`,
      );
    }
    roles.set(account, role);
    found.set(host, role);
  });
  if (found.size === 0) {
    throw new Error('registries is empty; set it to one registry per line, ' +
      'and check that its variable is set');
  }
  return found;
}

// groups groups hosts by role. Each group is one call of configure.
function groups(hosts) {
  const byRole = new Map();
  for (const [host, role] of hosts) {
    byRole.set(role, [...(byRole.get(role) || []), host]);
  }
  return [...byRole].map(([role, hosts]) => ({ role, hosts }));
}

module.exports = { failed, read, registries };
