"""The arithmetic of a training step as bare matrix products: as fast as a step could be if it did nothing else."""
import time

import torch


def products(model, side, batch, classes):
    """The products (m, k, n) of a step, each with how often: forward, gradient of weights, gradient of what comes in. What
    the first layer would give the images is not needed. A convolution counts as the product its unfolded images make."""
    found = []

    def add(rows, inputs, outputs, wanted, times=1):
        found.append((times, (rows, inputs, outputs)))
        found.append((times, (inputs, rows, outputs)))
        if wanted:
            found.append((times, (rows, outputs, inputs)))

    inputs, deeper = side * side, False
    if model["kind"] == "cnn":
        channels = 1
        for block in model["blocks"]:
            add(batch * side * side, channels * block["kernel"] ** 2, block["filters"], deeper)
            channels, side, deeper = block["filters"], side // block["pool"], True
        inputs = channels * side * side
    elif "hidden_size" in model:
        size = model["hidden_size"]
        gates = {"rnn": 1, "lstm": 4, "gru": 3}[model["kind"]] * size
        directions = 2 if model["bidirectional"] else 1
        add(batch * side, side, gates, False, directions)
        # Step by step there and back, and one gradient of the weights over all steps.
        found.append((directions * side, (batch, size, gates)))
        found.append((directions * side, (batch, gates, size)))
        found.append((directions, (size, batch * side, gates)))
        inputs, deeper = directions * size, True
    for units in [*model["hidden"], classes]:
        add(batch, inputs, units, deeper)
        inputs, deeper = units, True
    return found


def gflop(list_of_products):
    return sum(2e-9 * times * m * k * n for times, (m, k, n) in list_of_products)


def milliseconds(list_of_products, threads):
    """What the products take together at so many threads; each the best of several tries on warm memory."""
    torch.set_num_threads(threads)
    total = 0.0
    for times, (m, k, n) in list_of_products:
        a, b, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
        torch.mm(a, b, out=out)
        repeats = max(1, int(2e7 / (m * k * n)))
        tries = []
        for _ in range(7):
            start = time.perf_counter()
            for _ in range(repeats):
                torch.mm(a, b, out=out)
            tries.append((time.perf_counter() - start) / repeats)
        total += times * min(tries)
    return 1000 * total
