'use strict';

// Extracts one file from an archive by its exact name. Other files are neither read nor written, so
// a file name in the archive cannot cause a path traversal.

const zlib = require('node:zlib');

const maxSize = 256 << 20; // bytes

// extract returns the content of the regular file with this name at the root of an archive. format
// is zip or tar.gz.
function extract(archive, format, name) {
  let found;
  try {
    found = format === 'zip'
      ? fromZip(archive, name)
      : fromTar(zlib.gunzipSync(archive, { maxOutputLength: maxSize }), name);
  } catch (error) {
    throw new Error(`the archive is damaged: ${error.message}`, { cause: error });
  }
  if (!found) {
    throw new Error(`the archive has no file ${name} at its root`);
  }
  return found;
}

// https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
function fromTar(tar, name) {
  for (let at = 0; at + 512 <= tar.length; ) {
    const header = tar.subarray(at, at + 512);
    if (header.every((byte) => byte === 0)) {
      return undefined; // end of the archive
    }
    const size = parseInt(text(header, 124, 12), 8);
    const type = String.fromCharCode(header[156]);
    if (!(size >= 0) || at + 512 + size > tar.length) {
      throw new Error(`the header at offset ${at} is invalid`);
    }
    const isRegular = type === '0' || type === '\0';
    if (text(header, 0, 100) === name && text(header, 345, 155) === '' && isRegular) {
      return tar.subarray(at + 512, at + 512 + size);
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return undefined;
}

function text(header, start, length) {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end).trim();
}

// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3
function fromZip(zip, name) {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0) {
    throw new Error('it has no central directory');
  }
  let at = zip.readUInt32LE(end + 16);
  for (let n = zip.readUInt16LE(end + 10); n > 0; n--) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32]
      .map((offset) => zip.readUInt16LE(at + offset));
    if (zip.toString('utf8', at + 46, at + 46 + nameLength) === name) {
      return fromZipEntry(zip, at);
    }
    at += 46 + nameLength + extraLength + commentLength;
  }
  return undefined;
}

function fromZipEntry(zip, at) {
  const method = zip.readUInt16LE(at + 10);
  const [packed, size, local] = [20, 24, 42].map((offset) => zip.readUInt32LE(at + offset));
  const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const data = zip.subarray(start, start + packed);
  const out = method === 8 ? zlib.inflateRawSync(data, { maxOutputLength: maxSize }) : data;
  if ((method !== 0 && method !== 8) || out.length !== size || size === 0) {
    throw new Error(`compression method ${method}, ${out.length} of ${size} bytes`);
  }
  return out;
}

module.exports = { extract };
