"""torch_check.py FOLDER SOURCE-ROOT: PyTorch makes of every checkpoint and input in FOLDER what is
beside it. Exit status 77 without PyTorch or NumPy."""
import glob
import os
import sys

folder, source = sys.argv[1:]
sys.path.insert(0, os.path.join(source, 'tools', 'python'))
sys.dont_write_bytecode = True
try:
    import numpy as np
    import torch
except ImportError as e:
    print(f'skipped: {e}')
    sys.exit(77)
import hepaflow_torch

LIMIT = 1e-4
worst, models = 0, sorted(glob.glob(os.path.join(folder, '*.safetensors')))
for model in models:
    start = model[:-len('.safetensors')]
    net = hepaflow_torch.load(model)
    x = torch.from_numpy(np.load(start + '.in.npy'))
    with torch.no_grad():
        z = net(x[:, :, 0] if net.dims == 2 else x).numpy()
    expected = np.load(start + '.out.npy').reshape(z.shape)
    off = float(np.abs(z - expected).max())
    print(f'{os.path.basename(start)}: off by {off:.2g}, values up to {np.abs(z).max():.2g}')
    if not off <= LIMIT or np.abs(z).max() < 0.01 or z.std() < 1e-3:
        sys.exit(f'more than {LIMIT} is not allowed, nor an output without values')
    worst = max(worst, off)
    wrong = dict(net.state_dict())
    name = next(n for n in wrong if n.endswith('.weight'))
    wrong[name] = wrong[name] * 1.01
    net.load_state_dict(wrong)
    with torch.no_grad():
        other = net(x[:, :, 0] if net.dims == 2 else x).numpy()
    if np.abs(other - z).max() == 0:
        sys.exit('a parameter does not matter')
if len(models) < 10:
    sys.exit(f'{len(models)} checkpoints; expected 10 or more')
