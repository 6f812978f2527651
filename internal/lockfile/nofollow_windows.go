package lockfile

const noFollow = 0 // creating a symlink requires a privilege on Windows
