"""The order in which signet's epochs meet their images: src/data/batches.rs and src/rng.rs, told again in Python."""
import hashlib
import itertools
import struct

CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
MASK, MOST = 0xFFFFFFFF, 2**64 - 1


def chacha8(key):
    """The words of ChaCha with eight rounds (Bernstein, 2008), counter and nonce from zero."""
    for counter in itertools.count():
        start = [*CONSTANTS, *struct.unpack("<8I", key), counter & MASK, counter >> 32, 0, 0]
        state = list(start)

        def quarter(a, b, c, d):
            for x, y, z, left in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
                state[x] = state[x] + state[y] & MASK
                turned = state[z] ^ state[x]
                state[z] = (turned << left | turned >> 32 - left) & MASK

        for _ in range(4):
            for i in range(4):
                quarter(i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        yield from (word + first & MASK for word, first in zip(state, start))


def epoch_order(part, seed, epoch):
    """The training part, a list of indices, in the order of `epoch`, which counts from 1."""
    key = hashlib.sha256(struct.pack("<Q", seed) + b"order" + b"\0" + struct.pack("<Q", epoch)).digest()
    words = chacha8(key)

    def below(bound):
        while True:
            bits = next(words) | next(words) << 32
            if bits < MOST - MOST % bound:
                return bits % bound

    order = list(part)
    for last in range(len(order) - 1, 0, -1):
        other = below(last + 1)
        order[last], order[other] = order[other], order[last]
    return order
