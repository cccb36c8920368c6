"""Lesson 06: one step of Adam, and the loop that moves a latent with it."""

from __future__ import annotations

import torch

from . import Exercise, given, require

RATE, MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.05, 0.9, 0.999, 1e-8


def adam_change(gradient, mean, square, step, learning_rate):
    """Reference: what Adam adds to the latents at step 1, 2, …, and its two running averages afterwards."""
    mean = MEAN_DECAY * mean + (1 - MEAN_DECAY) * gradient
    square = SQUARE_DECAY * square + (1 - SQUARE_DECAY) * gradient**2
    unbiased_mean = mean / (1 - MEAN_DECAY**step)
    unbiased_square = square / (1 - SQUARE_DECAY**step)
    return -learning_rate * unbiased_mean / (unbiased_square.sqrt() + EPSILON), mean, square


def check_adam(answer) -> None:
    gradient = torch.tensor([3.0, -0.02, 4e-5])
    mean, square = torch.zeros(3), torch.zeros(3)
    found = given(answer(gradient.clone(), mean, square, 1, RATE))
    require(isinstance(found, (tuple, list)) and len(found) == 3,
            "Three things come back: the change, the new mean and the new square.")
    change = found[0]
    require(not mean.any() and not square.any(),
            "The averages that were handed in have changed in place: write mean = 0.9 * mean + …, which makes a new tensor.")
    require(torch.isfinite(change).all(),
            "The first change is infinite or NaN. step counts from 1: 1 - 0.9**0 is 0, and nothing can be divided by it.")
    require((change * gradient < 0).all(), "This walks uphill: the change points against the gradient, so it needs a minus.")
    size = change.abs() / RATE
    require(not torch.allclose(size, torch.tensor(0.1 / 0.001**0.5), rtol=0.01),
            "The first change is 3.16 times the learning rate: both averages start at 0 and lean towards it. "
            "The bias correction is missing: divide them by 1 - 0.9**step and 1 - 0.999**step.")
    require(size[0] < 1.01,
            "A large gradient makes a large change. Adam divides by the gradient's usual size: the root of the mean square.")
    require(size[0] > 0.99, "A large gradient makes a small change. Take the square root of the mean square before you divide.")
    require(size[2] > 0.99,
            "A gradient of 0.00004 should still make a full step. Add ε = 1e-8 outside the root: inside, its root is 1e-4.")
    require(torch.isfinite(answer(torch.zeros(1), torch.zeros(1), torch.zeros(1), 1, RATE)[0]).all(),
            "Where the gradient is 0 the change is 0 / 0. That is what ε below the fraction is for.")
    turned = answer(-gradient, found[1], found[2], 2, RATE)[0]
    require((turned.abs() < 0.1 * RATE).all(),
            "After a gradient and its opposite Adam should hardly move; yours has no memory. Average over the steps, "
            "and hand back the new averages.")
    require(torch.allclose(_walk(answer), _walk(adam_change), atol=1e-5),
            "Right at first, and then another path than Adam's. Is it β1 = 0.9 for the mean and β2 = 0.999 for the square, "
            "and does each correction use its own?")


def _walk(answer, steps=8):
    """Where eight random gradients lead."""
    generator = torch.Generator().manual_seed(0)
    place = mean = square = torch.zeros(5)
    for step in range(1, steps + 1):
        change, mean, square = answer(torch.randn(5, generator=generator), mean, square, step, RATE)
        place = place + change
    return place


def _adam(beta1=MEAN_DECAY, beta2=SQUARE_DECAY, later=0, correct=True, root=True, divide=True, inside=0.0, outside=EPSILON,
          sign=-1):
    """Adam with one thing changed."""

    def answer(gradient, mean, square, step, learning_rate):
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        step = step + later
        top = mean / (1 - beta1**step) if correct else mean
        below = square / torch.tensor(1 - beta2**step) if correct else square
        below = ((below + inside).sqrt() if root else below) + outside
        return sign * learning_rate * (top / below if divide else top), mean, square

    return answer


def _in_place(gradient, mean, square, step, learning_rate):
    mean.mul_(MEAN_DECAY).add_((1 - MEAN_DECAY) * gradient)
    square.mul_(SQUARE_DECAY).add_((1 - SQUARE_DECAY) * gradient**2)
    top, below = mean / (1 - MEAN_DECAY**step), (square / (1 - SQUARE_DECAY**step)).sqrt()
    return -learning_rate * top / (below + EPSILON), mean, square


def _too_early(gradient, mean, square, step, learning_rate):
    mean = MEAN_DECAY * mean + (1 - MEAN_DECAY) * gradient
    square = SQUARE_DECAY * square + (1 - SQUARE_DECAY) * gradient**2
    top, below = mean / torch.tensor(1 - MEAN_DECAY ** (step - 1)), square / torch.tensor(1 - SQUARE_DECAY ** (step - 1))
    return -learning_rate * top / (below.sqrt() + EPSILON), mean, square


def optimise(loss, latents, timesteps, learning_rate=0.05, fresh=False):
    """Reference: Algorithm 1 for any `loss(latents, t)`; with `fresh` a new Adam at every timestep."""
    latents = latents.clone().requires_grad_()
    adam = torch.optim.Adam([latents], lr=learning_rate)
    for t in timesteps:
        if fresh:
            adam = torch.optim.Adam([latents], lr=learning_rate)
        (latents.grad,) = torch.autograd.grad(loss(latents, t), latents)
        adam.step()
    return latents.detach()


def check_optimise(answer) -> None:
    asked, start = [], torch.zeros(4)

    def slope(latents, t):  # its gradient is t everywhere
        asked.append(float(t))
        return (latents * t).sum()

    found = given(answer(slope, start, [0.001], RATE))
    require(isinstance(found, torch.Tensor) and found.shape == start.shape, "The optimised latents come back, in their shape.")
    require(not found.requires_grad, "The latents come back with their graph attached: return latents.detach().")
    require(not start.any() and not start.requires_grad,
            "The caller's latents were changed. Clone them first: noise that was handed in should survive.")
    require(found.any(), "Nothing has moved. Adam moves the tensor that it was given when it was made, so that must be the one "
                         "that the loss sees; and it moves only in adam.step().")
    require((found < 0).all(), "This walks uphill: Adam goes down by itself, so hand it the gradient as it is.")
    require(torch.allclose(found, torch.tensor(-RATE), rtol=0.01),
            f"The first step has size {found.abs().max():.2g} where the learning rate is {RATE}. Adam's first step is the "
            "learning rate, whatever the gradient; plain gradient descent's is not, and learning_rate must reach the optimiser.")
    asked.clear()
    answer(slope, start, [801, 401, 1], RATE)
    require(asked == [801, 401, 1],
            f"The loss was asked at t = {asked}, where timesteps were [801, 401, 1]: once at each, in the order given.")
    there_and_back = answer(slope, start, [0.001, -0.001], RATE)[0]
    require(abs(there_and_back) > 1e-4,
            "A gradient and its opposite lead back to the start: there is a new Adam at every step, without memory. "
            "Make it once, before the loop, unless fresh is true.")
    require(there_and_back > -0.08,
            "Gradients accumulate: the second step still feels the first gradient. backward() adds to .grad, so set it to "
            "zero first, or assign what torch.autograd.grad gives.")
    require(abs(answer(slope, start, [0.001, -0.001], RATE, fresh=True)[0]) < 1e-4,
            "With fresh=True a gradient and its opposite should lead back to the start. Make a new Adam inside the loop.")
    for fresh in (False, True):
        require(torch.allclose(_bowl(answer, fresh), _bowl(optimise, fresh), atol=1e-5),
                "Right for two steps, and then another path. Keep Adam's own settings, and one step for each timestep.")


def _bowl(answer, fresh):
    """Six steps in a bowl whose bottom moves with t."""
    start = torch.linspace(-1, 1, 4)
    return answer(lambda latents, t: (latents - t).square().sum(), start, [0.9, 0.9, -0.6, 0.2, 0.1, 0.0], RATE, fresh=fresh)


def _loop(at_start=lambda z: z.clone().requires_grad_(), at_end=lambda z: z.detach(), make=torch.optim.Adam, order=1, sign=1,
          accumulate=False, always=False, never=False, renew=False, rate=None):
    """The loop with one thing changed."""

    def answer(loss, latents, timesteps, learning_rate=0.05, fresh=False):
        latents = at_start(latents)
        learning_rate = rate or learning_rate
        optimiser = make([latents], lr=learning_rate)
        for t in timesteps[::order]:
            if (fresh or always) and not never:
                optimiser = make([latents], lr=learning_rate)
            if renew:
                latents = latents.detach().clone().requires_grad_()
            if not accumulate:
                latents.grad = None
            (sign * loss(latents, t)).backward()
            optimiser.step()
        return at_end(latents)

    return answer


EXERCISES = (
    Exercise(
        name="06.adam",
        reference=adam_change,
        check=check_adam,
        wrong={
            "Three things come back": lambda *arguments: adam_change(*arguments)[0],
            "in place": _in_place,
            "counts from 1": _too_early,
            "uphill": _adam(sign=1),
            "bias correction is missing": _adam(correct=False),
            "A large gradient makes a large change": _adam(divide=False),
            "A large gradient makes a small change": _adam(root=False),
            "outside the root": _adam(inside=1e-8, outside=0.0),
            "what ε below the fraction is for": _adam(outside=0.0),
            "no memory": lambda g, m, s, step, rate: (-rate * g / (g.abs() + EPSILON), m, s),
            "hand back the new averages": lambda g, m, s, step, rate: (adam_change(g, m, s, step, rate)[0], m, s),
            "β1 = 0.9": _adam(beta1=SQUARE_DECAY, beta2=MEAN_DECAY),
        },
    ),
    Exercise(
        name="06.optimise",
        reference=optimise,
        check=check_optimise,
        wrong={
            "graph attached": _loop(at_end=lambda z: z + 0),
            "caller's latents were changed": _loop(at_start=lambda z: z.requires_grad_()),
            "Nothing has moved": _loop(renew=True),
            "uphill": _loop(sign=-1),
            "plain gradient descent": _loop(make=torch.optim.SGD),
            "must reach the optimiser": _loop(rate=0.001),
            "in the order given": _loop(order=-1),
            "without memory": _loop(always=True),
            "Gradients accumulate": _loop(accumulate=True),
            "new Adam inside the loop": _loop(never=True),
        },
    ),
)
