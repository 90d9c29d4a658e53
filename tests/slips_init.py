"""Slips in the initialisers; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_init"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "init.py": [
        ("orthogonal", "gain * (q if", "(q if"),
        ("orthogonal", "gain * (q if", "gain**2 * (q if"),
        ("orthogonal", "    array[...] = gain * (q", "    array[...] += gain * (q"),
        ("orthogonal", "q, r = np.linalg.qr(normal)", "r, q = normal, normal"),
        ("orthogonal", "np.sign(np.diag(r))", "np.diag(r)"),
        ("uniform", "    q *= np.sign(np.diag(r))\n", ""),
        ("uniform", "np.sign(np.diag(r))", "np.abs(np.sign(np.diag(r)))"),
        ("uniform", ".standard_normal((max", ".random((max"),
        ("uniform", ".standard_normal((max", ".standard_exponential((max"),
        ("eye", "_gain(gain) * np.eye(*shape)", "np.eye(*shape)"),
        ("eye", "_gain(gain) * np.eye(*shape)", "_gain(gain) * np.eye(*shape, k=1)"),
        ("eye", "_gain(gain) * np.eye(*shape)", "_gain(gain)"),
        ("eye", "    array[...] = _gain", "    array[...] += _gain"),
    ],
}
