'use strict';

// Shared test code: a server with archives of the real binary, and jobs, which run main.js and post.js as
// processes with the variables and files of the runner.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { platform } = require('../platform.js');

const root = path.join(__dirname, '..', '..');
const here = platform();
const version = '0.1.0';
const archiveName = `docker-credential-ecr-oidc_${version}_${here.name}.${here.format}`;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ecr-oidc-action-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));

// No output may contain one of the secrets. Each test checks this at its end.
const secrets = {
  token: 'ghs_marked_for_the_test',
  login: Buffer.from('jane:hunter2-marked').toString('base64'),
  mirror: 'mirror-password-marked',
};

let built;

// release returns archives with the real binary. It creates them once.
function release() {
  if (!built) {
    const go = (...args) =>
      childProcess.execFileSync('go', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    const binary = process.env.ECR_OIDC_BINARY || path.join(scratch, here.binary);
    if (!process.env.ECR_OIDC_BINARY) {
      go('build', '-o', binary, './cmd/docker-credential-ecr-oidc');
    }
    const [tar, zip] = ['release.tar.gz', 'release.zip'].map((name) => path.join(scratch, name));
    go('run', './action/testdata/pack.go', binary, tar, zip);
    built = { binary: fs.readFileSync(binary), tar: fs.readFileSync(tar), zip: fs.readFileSync(zip) };
  }
  return { ...built, archive: here.format === 'zip' ? built.zip : built.tar };
}

function sha256(content) {
  return crypto.createHash('sha256').update(content).digest('hex');
}

// checksums returns checksums.txt for these archives, with other files before and after them.
function checksums(archives) {
  const lines = Object.entries({ 'other.deb': 'x', ...archives, [`${archiveName}.sbom.json`]: 'y' });
  return lines.map(([name, content]) => `${sha256(content)}  ${name}\n`).join('');
}

// serve starts a server. files maps a URL path to the response: the content, an HTTP status, or a function
// of the request's number that returns one of these. requests lists the URLs of the requests.
async function serve(t, files) {
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push(request.url);
    let reply = files[request.url];
    if (typeof reply === 'function') {
      reply = reply(requests.filter((url) => url === request.url).length, request);
    }
    if (reply === undefined || typeof reply === 'number') {
      response.writeHead(reply || 404).end('no');
    } else if (reply.location) {
      response.writeHead(302, reply).end();
    } else {
      response.end(reply);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}`, requests, files, server };
}

// mirror starts a server with a release, for ECR_OIDC_MIRROR.
function mirror(t, more = {}) {
  const { archive } = release();
  return serve(t, {
    [`/v${version}/checksums.txt`]: checksums({ [archiveName]: archive }),
    [`/v${version}/${archiveName}`]: archive,
    ...more,
  });
}

// emulator starts the emulated AWS and GitHub of e2e/emulator. It returns their control:
//
//   job(options)   starts a job and returns its variables. options are those of emulator.GitHubJob
//   calls()        returns the calls since the last call of calls, such as ["oidc token", "sts ..."]
//   call(op, body) calls its API
async function emulator(t) {
  const dir = fs.mkdtempSync(path.join(scratch, 'emulator-'));
  const program = path.join(scratch, here.format === 'zip' ? 'emulator.exe' : 'emulator');
  if (!fs.existsSync(program)) {
    childProcess.execFileSync('go', ['build', '-o', program, './e2e/emulator/cmd/emulator'], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }
  const child = childProcess.spawn(program, ['-addr', '127.0.0.1:0', '-dir', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('the emulator did not start')));
  });
  const found = lines(fs.readFileSync(path.join(dir, 'emulator.env'), 'utf8'));
  const call = async (op, body) => {
    const response = await fetch(
      `${found.EMULATOR_ADMIN}/${op}`,
      body && { method: 'POST', body: JSON.stringify(body) },
    );
    const text = await response.text();
    assert.ok(response.ok, text);
    return text;
  };
  return {
    call,
    async job(options = {}) {
      const env = lines(await call('github', options));
      return { ...env, HTTPS_PROXY: found.EMULATOR_PROXY, AWS_CA_BUNDLE: path.join(dir, 'ca.pem') };
    },
    async calls() {
      const calls = JSON.parse(await call('calls')) || [];
      await call('reset-calls');
      return calls
        .filter(({ Service }) => ['oidc', 'sts', 'ecr'].includes(Service))
        .map(({ Service, Op }) => `${Service} ${Op}`);
    },
  };
}

// lines parses KEY=value lines.
function lines(text) {
  return Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(/=(.*)/s).slice(0, 2)),
  );
}

// Job is a job on a runner. Its steps can set variables and PATH for later steps.
class Job {
  constructor(t, env = {}) {
    this.dir = fs.mkdtempSync(path.join(scratch, 'job-'));
    this.temp = this.folder('temp');
    this.tools = this.folder('tools');
    this.home = this.folder('home');
    this.bin = this.folder('bin');
    this.paths = [this.bin];
    this.env = {
      HOME: this.home,
      USERPROFILE: this.home,
      SystemRoot: process.env.SystemRoot || '',
      RUNNER_TEMP: this.temp,
      RUNNER_TOOL_CACHE: this.tools,
      GITHUB_ACTIONS: 'true',
      GITHUB_SERVER_URL: 'https://github.com',
      ...env,
    };
    this.output = '';
    t.after(() => {
      for (const [what, secret] of Object.entries(secrets)) {
        assert.ok(!this.output.includes(secret), `the log has the ${what}`);
      }
      fs.rmSync(this.dir, { recursive: true, force: true });
    });
  }

  folder(name) {
    const folder = path.join(this.dir, name);
    fs.mkdirSync(folder, { recursive: true });
    return folder;
  }

  // write creates a file in the job's directory.
  write(name, content, options) {
    const file = path.join(this.dir, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content, options);
    return file;
  }

  // main runs main.js with inputs, without a check by default. It returns the step; step.post runs post.js.
  async main(inputs = {}, env = {}) {
    const step = {
      inputs: { version, 'docker-config': 'job', check: 'false', ...inputs },
      env,
      state: {},
      job: this,
    };
    step.post = (status = 'success', more = {}) =>
      this.stage('post.js', step, { ...more, 'INPUT_JOB-STATUS': status });
    step.ran = await this.stage('main.js', step, { 'INPUT_JOB-STATUS': 'success' });
    return step;
  }

  // stage runs a file of the action as the runner does, and applies the environment files that it wrote.
  async stage(script, step, more) {
    const files = {};
    for (const name of [
      'GITHUB_ENV',
      'GITHUB_OUTPUT',
      'GITHUB_PATH',
      'GITHUB_STATE',
      'GITHUB_STEP_SUMMARY',
    ]) {
      files[name] = this.write(`files/${name}`, '');
    }
    const env = { ...this.env, ...step.env, ...files, PATH: this.paths.join(path.delimiter), ...more };
    for (const [name, value] of Object.entries(step.inputs)) {
      env[`INPUT_${name.toUpperCase()}`] = value;
    }
    for (const [name, value] of Object.entries(step.state)) {
      env[`STATE_${name}`] = value;
    }
    const ran = await execute(process.execPath, [path.join(root, 'action', script)], { env, cwd: this.dir });
    this.output += ran.output;
    const read = (name) => fs.readFileSync(files[name], 'utf8');
    Object.assign(this.env, pairs(read('GITHUB_ENV')));
    Object.assign(step.state, pairs(read('GITHUB_STATE')));
    this.paths.unshift(...read('GITHUB_PATH').split('\n').filter(Boolean));
    return { ...ran, summary: read('GITHUB_STEP_SUMMARY'), outputs: pairs(read('GITHUB_OUTPUT')) };
  }

  // docker returns the config.json that Docker would read.
  docker() {
    return JSON.parse(
      fs.readFileSync(
        path.join(this.env.DOCKER_CONFIG || path.join(this.home, '.docker'), 'config.json'),
        'utf8',
      ),
    );
  }

  // get runs a get, as Docker does in a later step.
  get(registry, env = {}) {
    const all = { ...this.env, PATH: this.paths.join(path.delimiter), ...env };
    const { status, stdout } = childProcess.spawnSync(path.join(this.paths[0], here.binary), ['get'], {
      env: all,
      input: registry,
      encoding: 'utf8',
    });
    return { code: status, output: stdout };
  }

  // helper runs the installed binary, as a later step would.
  helper(...args) {
    return execute(path.join(this.paths[0], here.binary), args, {
      env: { ...this.env, PATH: this.paths.join(path.delimiter) },
      cwd: this.dir,
    });
  }
}

// startEmulator starts an emulator. It returns it and a function that starts jobs in it.
async function startEmulator(t) {
  const aws = await emulator(t);
  const ECR_OIDC_MIRROR = (await mirror(t)).url;
  const start = async (options, env = {}) =>
    new Job(t, { ECR_OIDC_MIRROR, ...(await aws.job(options)), ...env });
  return { aws, start };
}

// pairs parses an environment file as the runner does (actions/runner FileCommandManager.cs, EnvFileKeyValuePairs).
function pairs(text) {
  const found = {};
  const lines = text.split('\n');
  while (lines.length > 0) {
    const line = lines.shift();
    const [, name, delimiter] = /^([^=<]+)<<(.+)$/.exec(line) || [];
    if (name === undefined) {
      assert.strictEqual(line, '', 'every value has a delimiter');
      continue;
    }
    const end = lines.indexOf(delimiter);
    assert.ok(end >= 0, `the value of ${name} ends`);
    found[name] = lines
      .splice(0, end + 1)
      .slice(0, -1)
      .join('\n');
  }
  return found;
}

function execute(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = childProcess.spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), 90_000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

// good asserts that a stage succeeded. bad asserts that it failed with one matching error.
function good(ran) {
  assert.strictEqual(ran.code, 0, ran.output);
  return ran;
}

function bad(ran, message) {
  assert.notStrictEqual(ran.code, 0, ran.output);
  const errors = ran.output
    .split('\n')
    .filter((line) => line.startsWith('::error title=docker-credential-ecr-oidc::'));
  assert.strictEqual(errors.length, 1, ran.output);
  assert.match(errors[0], message);
}

module.exports = {
  Job,
  archiveName,
  bad,
  checksums,
  execute,
  good,
  here,
  mirror,
  release,
  root,
  scratch,
  secrets,
  serve,
  sha256,
  startEmulator,
  version,
};
