"""Writes torture.tsv: what nibabel reads from each file of $HEPAFLOW_DATA/nifti-torture.

    python make_torture.py > torture.tsv

A file is to be refused where nibabel cannot read it, and where it holds no single volume of real
numbers or is no NIfTI. Of others, the table has the shape [D,H,W] of the canonical array, the sum
of its voxels, a sum weighted by place (1 to 97 in turn), and the sum of absolute values, by which
the others are to be judged. Voxels that are not finite count as -1024. Files without sform and
qform are taken as they are stored (nibabel would mirror their first axis).
"""
import gzip
import os
import re
import sys
import tempfile
import warnings

import nibabel
import numpy

REAL = [numpy.dtype(t) for t in ('u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f4', 'f8')]


def magic(path):
    opened = gzip.open if open(path, 'rb').read(2) == b'\x1f\x8b' else open
    with opened(path, 'rb') as f:
        head = f.read(540)
    return head[344:347] in (b'n+1', b'ni1') or head[4:7] in (b'n+2', b'ni2')


def load(path):
    """nibabel wants both halves of a pair packed or neither."""
    stem = re.sub(r'\.(hdr|img)(\.gz)?$', '', path)
    halves = [stem + part + end for part in ('.hdr', '.img') for end in ('', '.gz')
              if os.path.exists(stem + part + end)]
    if stem == path or len(halves) != 2:
        return nibabel.load(path)
    with tempfile.TemporaryDirectory() as folder:
        for half in halves:
            opened = gzip.open if half.endswith('.gz') else open
            with opened(half, 'rb') as f, \
                    open(os.path.join(folder, 'x' + half[len(stem):][:4]), 'wb') as to:
                to.write(f.read())
        image = nibabel.load(os.path.join(folder, 'x.hdr'))
        image.get_fdata()
        return image


def expected(path):
    try:
        image = load(path)
        header = image.header
        head = path.replace('.img', '.hdr')
        if not magic(head if os.path.exists(head) else re.sub(r'\.gz$', '', head)):
            return 'refuse\tno NIfTI'
        if header.get_data_dtype().newbyteorder('=') not in REAL:
            return f'refuse\tvoxels of {header.get_data_dtype()}'.replace('\n', ' ')
        shape = image.shape
        if len(shape) < 2 or any(n > 1 for n in shape[3:]) or min(shape) < 1:
            return f'refuse\tshape {shape}'
        data = image.get_fdata()
    except Exception as e:  # pylint: disable=broad-except
        return 'refuse\tnibabel: ' + type(e).__name__
    volume = data.reshape((tuple(shape) + (1, 1, 1))[:3])
    if header['sform_code'] > 0 or header['qform_code'] > 0:
        turn = nibabel.io_orientation(image.affine)
        volume = nibabel.apply_orientation(volume, turn)
    volume = numpy.ascontiguousarray(volume.T)
    with numpy.errstate(over='ignore'):
        volume = volume.astype(numpy.float32).astype(numpy.float64)
    volume[~numpy.isfinite(volume)] = -1024
    weight = 1 + numpy.arange(volume.size) % 97
    sums = (volume.sum(), (volume.ravel() * weight).sum(), numpy.abs(volume).sum())
    return 'read\t' + '\t'.join(map(str, volume.shape)) + ''.join(f'\t{s:.9g}' for s in sums)


def main():
    warnings.simplefilter('ignore')
    folder = os.path.join(os.environ['HEPAFLOW_DATA'], 'nifti-torture')
    with open(os.path.join(folder, 'MANIFEST.tsv'), encoding='utf-8') as f:
        names = [line.split('\t')[0] for line in f][1:]
    for name in names:
        try:
            row = expected(os.path.join(folder, name))
        except OSError as e:
            row = 'refuse\t' + type(e).__name__
        print(name + '\t' + row)
    print(f'{len(names)} files', file=sys.stderr)


main()
