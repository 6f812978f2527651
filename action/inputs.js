'use strict';

// read takes the action's inputs out of the environment, and refuses what cannot be meant before anything is done.
function read(env) {
  const role = one(env, 'role-to-assume');
  const version = one(env, 'version').replace(/^v/, '');
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) {
    throw new Error(`version is ${JSON.stringify(version)}; name a release, such as 0.1.0, or leave it out`);
  }
  const dockerConfig = one(env, 'docker-config');
  if (dockerConfig !== 'job' && dockerConfig !== 'user') {
    throw new Error(`docker-config is ${JSON.stringify(dockerConfig)}; allowed are job and user`);
  }
  const dockerLogin = one(env, 'docker-login') || 'false';
  if (dockerLogin !== 'true' && dockerLogin !== 'false') {
    throw new Error(`docker-login is ${JSON.stringify(dockerLogin)}; allowed are true and false`);
  }
  return {
    groups: groups(registries(text(env, 'registries'), role)),
    settings: {
      audience: one(env, 'audience'),
      'session-name': one(env, 'role-session-name'),
      'session-duration': one(env, 'role-duration-seconds'),
      'allowed-account-ids': [...new Set(text(env, 'allowed-account-ids').split(/[\s,]+/).filter(Boolean))].join(','),
    },
    version,
    dockerConfig,
    dockerLogin: dockerLogin === 'true',
    token: one(env, 'github-token'),
    mustVerify: mustVerify(env),
  };
}

// mustVerify says whether a release that nobody here can verify is refused. This is a variable and no input, so that
// whoever runs the runners can set it for all jobs, and install.sh and install.ps1 heed it too.
function mustVerify(env) {
  const value = (env.ECR_OIDC_VERIFY || '').trim();
  if (value !== '' && value !== 'required') {
    throw new Error(`ECR_OIDC_VERIFY is ${JSON.stringify(value)}; it is "required", or not set`);
  }
  return value === 'required';
}

// failed says whether the job has failed by now; action.yml says how that is known.
function failed(env) {
  return one(env, 'job-status') === 'failure';
}

// text is an input as the runner hands it over: INPUT_ and its name in capitals (actions/runner Handler.cs).
function text(env, name) {
  return (env[`INPUT_${name.toUpperCase()}`] || '').trim();
}

// one is an input of one line.
function one(env, name) {
  const value = text(env, name);
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    throw new Error(`${name} has a line's end or another control character in it`);
  }
  return value;
}

// registries reads one HOST or HOST=ROLE per line. Whether a host is a registry of ECR, and a role a role, configure
// says.
function registries(lines, fallback) {
  const found = new Map(); // host → role
  const roles = new Map(); // account → the role that the configuration file will have for it
  lines.split(/\r\n|\r|\n/).forEach((line, i) => {
    const at = `registries, line ${i + 1}:`;
    line = line.trim();
    if (line === '') {
      return;
    }
    if (/[\u0000-\u001f\u007f]/.test(line)) {
      throw new Error(`${at} it has a control character in it`);
    }
    const equals = line.indexOf('=');
    const host = equals < 0 ? line : line.slice(0, equals).trim();
    const own = equals < 0 ? '' : line.slice(equals + 1).trim();
    if (host === '') {
      throw new Error(`${at} ${JSON.stringify(line)} has no registry before "="`);
    }
    if (/\s/.test(host)) {
      throw new Error(`${at} ${JSON.stringify(host)} has a space in it; name one registry per line`);
    }
    if (equals >= 0 && own === '') {
      throw new Error(`${at} ${JSON.stringify(line)} has no role after "="; is the variable or secret that it comes from set?`);
    }
    const role = own || fallback;
    const account = (/^(?:https?:\/\/)?(\d{12})\./.exec(host) || [undefined, host])[1];
    if (roles.has(account) && roles.get(account) !== role) {
      throw new Error(
        `${at} account ${account} has another role already, and a role is for all registries of an account; ` +
          `where steps need different ones, set ECR_OIDC_ROLE_${account} in their env instead`,
      );
    }
    roles.set(account, role);
    found.set(host, role);
  });
  if (found.size === 0) {
    throw new Error('registries is empty; name one registry or more, one per line; is the variable that it comes from set?');
  }
  return found;
}

// groups puts together the hosts that have the same role, so that each group is one call of configure.
function groups(hosts) {
  const byRole = new Map();
  for (const [host, role] of hosts) {
    byRole.set(role, [...(byRole.get(role) || []), host]);
  }
  return [...byRole].map(([role, hosts]) => ({ role, hosts }));
}

module.exports = { failed, read, registries };
