package lockfile

const noFollow = 0 // to make a symlink takes a right of its own there
