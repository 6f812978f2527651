'use strict';

const systems = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const architectures = { x64: 'amd64', arm64: 'arm64' };

// platform returns the names that a release uses for this machine.
function platform(system = process.platform, architecture = process.arch) {
  const os = systems[system];
  const arch = architectures[architecture];
  if (!os || !arch) {
    throw new Error(
      `there is no release for ${system} on ${architecture}; ` +
        'releases exist for Linux, macOS and Windows on amd64 and arm64',
    );
  }
  return {
    name: `${os}_${arch}`,
    format: os === 'windows' ? 'zip' : 'tar.gz',
    binary: 'docker-credential-ecr-oidc' + (os === 'windows' ? '.exe' : ''),
    cache: architecture, // the name in the tool cache
  };
}

module.exports = { platform };
