"""Things that grow or stand in the landscape, drawn in the box [-1, 1]² (v points down)."""

import math

import numpy as np

from .outlines import curve, mirror, outline, profile
from .shapes import (
    accent,
    arc,
    blend,
    body,
    box,
    capsule,
    circle,
    convex,
    dark,
    ellipse,
    intersect,
    light,
    line,
    star,
    stroke,
    subtract,
    turn,
    union,
)


def tree(u, v, rng):
    """Broad-leaved tree with a lobed crown and fruit, or a fir in tiers."""
    bottom, half = .9, rng.uniform(.09, .13)
    if rng.random() < .35:
        return _fir(u, v, rng)
    trunk = profile(u, v, [.1, .6, bottom], [half * .7, half, half * 2.2])
    branches = union(stroke(u, v, [(0, .4), (-.3, .1)], half * .55, .03), stroke(u, v, [(0, .45), (.32, .08)],
                                                                                 half * .5, .03))
    n, wide = int(rng.integers(6, 9)), rng.uniform(.5, .62)
    lobes = [circle(u, v, 0, -.3, .48)]
    for i in range(n):
        a = 2 * math.pi * (i + rng.uniform(-.15, .15)) / n - math.pi / 2
        lobes.append(circle(u, v, wide * math.cos(a), -.3 + .36 * math.sin(a), rng.uniform(.25, .3)))
    crown = union(*lobes)
    parts = [accent(union(trunk, branches)), body(crown, .28)]
    fruit, radius = int(rng.integers(4, 8)), rng.uniform(.055, .08)
    turns = [i * 2.4 + rng.uniform(0, .5) for i in range(fruit)]
    spots = []
    for i, a in enumerate(turns):
        out = math.sqrt(i + .6)
        spots.append((.22 * out * math.cos(a), -.3 + .15 * out * math.sin(a)))
    parts.append(accent(union(*[circle(u, v, x, y, radius) for x, y in spots])))
    return parts + [light(union(*[circle(u, v, x - .02, y - .02, radius * .3) for x, y in spots]))]


def _fir(u, v, rng):
    tiers, wide = int(rng.integers(3, 5)), rng.uniform(.55, .68)
    shapes, balls = [], []
    for i in range(tiers):
        top, low = -.92 + 1.1 * i / tiers, -.92 + 1.62 * (i + 1.25) / (tiers + .25)
        half = wide * (.5 + .5 * i / (tiers - 1))
        shapes.append(convex(u, v, [(0, top), (half, low - .06), (half * .5, low), (-half * .5, low),
                                    (-half, low - .06)]))
        balls += [(side * half * rng.uniform(.25, .5), low - .2) for side in (-1, 1)]
    trunk = box(u, v, 0, .76, .1, .17, .02)
    topper = star(u, v, 0, -.84, .13, .06)
    snow = union(*[intersect(shape, circle(u, v, 0, -.92 + 1.62 * (i + 1.25) / (tiers + .25) - 2.55,
                                           2.42) * -1) for i, shape in enumerate(shapes)])
    return [accent(trunk), body(union(*shapes), .2), light(snow),
            dark(union(*[circle(u, v, x, y - .03, .05) for x, y in balls])), accent(topper)]


def leaf(u, v, rng):
    """Pointed leaf on a stalk, with a midrib and side veins."""
    u, v = turn(u, v, rng.uniform(.15, .5))
    wide, low = rng.uniform(.44, .6), rng.uniform(-.1, .15)
    blade = outline(u, v, mirror([(0, -.99), (-wide * .3, -.75), (-wide * .8, low - .35), (-wide, low),
                                  (-wide * .82, low + .32), (-wide * .35, .6), (0, .68)]), corners=(0,))
    n = int(rng.integers(3, 6))
    stalk = stroke(u, v, curve([(0, .6), (.02, .78), (.1, .93)], 3), .045, .055)
    veins = [capsule(u, v, 0, -.82, 0, .66, .014, .036)]
    for i in range(n):
        y = .42 - .95 * i / n
        reach = wide * (1 - abs(y - low)) * .86
        veins += [capsule(u, v, 0, y, side * reach, y - reach * .75, .028, .01) for side in (-1, 1)]
    drop = [light(ellipse(u, v, -wide * .45, low + .1, .06, .08, .5))] if rng.random() < .4 else []
    return [accent(stalk), body(blade, .3), accent(intersect(union(*veins), blade + .03), .04), *drop]


def flower(u, v, rng):
    """Daisy or tulip-like ring of petals with a dotted middle, on a stem with two leaves."""
    n, cy = int(rng.integers(5, 9)), -.34
    length, start = .3, rng.uniform(0, 6)
    bend = rng.uniform(-.12, .12)
    stem = stroke(u, v, curve([(0, cy), (bend, .3), (0, .92)], 4), .05)
    leaves = []
    for side in (-1, 1):
        y, tilt = rng.uniform(.45, .6), rng.uniform(.5, .8)
        leaves.append(ellipse(u, v, side * .27, y, .32, .12, -side * tilt))
    wide = min(.21, 1.02 * math.pi * .33 / n)
    petals, folds = [], []
    for i in range(n):
        c, s = math.cos(start + 2 * math.pi * i / n), math.sin(start + 2 * math.pi * i / n)
        petals.append(ellipse(u, v, .33 * c, cy + .33 * s, length, wide, start + 2 * math.pi * i / n))
        folds.append(capsule(u, v, .2 * c, cy + .2 * s, .42 * c, cy + .42 * s, .016, .006))
    middle = circle(u, v, 0, cy, .2)
    seeds = [circle(u, v, .11 * math.cos(k * 1.05), cy + .11 * math.sin(k * 1.05), .024) for k in range(6)]
    return [accent(union(stem, *leaves)), body(union(*petals), .16), dark(union(*folds)), light(middle, .2),
            dark(union(circle(u, v, 0, cy, .028), *seeds))]


def mushroom(u, v, rng):
    """Toadstool: spotted cap, light stem with a ring, a little grass."""
    wide, low, half = rng.uniform(.8, .93), rng.uniform(.06, .16), rng.uniform(.22, .3)
    tip = rng.uniform(.5, .66)
    cap = outline(u, v, mirror([(0, -.92), (-wide * tip, -.74), (-wide * .93, -.25), (-wide, low),
                                (-wide * .5, low + .1), (0, low + .12)]), corners=(3,))
    stem = profile(u, v, [low, .5, .8, .91], [half * .85, half, half * 1.5, half * 1.35])
    gills = intersect(ellipse(u, v, 0, low + .06, wide * .8, .17), -cap)
    ring = subtract(ellipse(u, v, 0, low + .38, half * 1.5, .18), ellipse(u, v, 0, low + .48, half * 1.7,
                                                                          .12))
    places = [(rng.uniform(-.1, .1), -.5, .17), (-.47, -.3, .12), (.45, -.38, .13), (rng.uniform(-.2, 0), -.1,
                                                                                     .1), (.28, -.05, .09),
              (-.68, .0, .09), (.7, -.04, .1)]
    count = int(rng.integers(5, 8))
    dots = [ellipse(u, v, x, y, r * rng.uniform(.9, 1.2), r * .85) for x, y, r in places[:count]]
    grass = [capsule(u, v, x, .91, x + lean, .93 - tall, .035, .008) for x, lean, tall in
             [(-.5, -.09, .2), (-.42, .0, .3), (-.34, .08, .2), (.4, -.07, .2), (.48, .03, .28)]]
    return [dark(gills), light(stem, .2), accent(ring), body(cap, .4),
            light(intersect(union(*dots), cap + .03)), accent(union(*grass))]


def moon(u, v, rng):
    """Crescent with craters and a sleeping face, a small star in its lap."""
    bite = rng.uniform(.36, .46)
    shape = subtract(circle(u, v, 0, 0, .93), circle(u, v, bite, -.12, .72))
    craters = union(*[circle(u, v, x, y, r) for x, y, r in [(-.55, -.42, .08), (-.36, .62, .1),
                                                            (.14, .72, .06),
                                                            (-.78, .06, .055)][:int(rng.integers(3, 5))]])
    eye = arc(u, v, -.53, -.02, .11, .026, 10, 170)
    smile = arc(u, v, -.44, .22, .15, .026, 30, 120)
    cheek = circle(u, v, -.64, .22, .075)
    size, x = rng.uniform(.2, .27), rng.uniform(.42, .55)
    return [body(shape, .3), accent(union(craters, cheek)), dark(union(eye, smile)),
            accent(star(u, v, x, -.2, size, size * .45, rng.uniform(-.3, .3), .02)),
            light(star(u, v, x + .2, .3, .14, .045, 0))]


def mountain(u, v, rng):
    """Two peaks with ragged snow, furrowed flanks and a few firs at the foot."""
    peak, top, second, other = rng.uniform(-.35, -.1), -.88, rng.uniform(-.3, -.05), rng.uniform(.42, .58)
    first = convex(u, v, [(-.78, .78), (peak, top), (peak + .14, top + .22), (.75, .78)])
    front = union(first, convex(u, v, [(-.2, .78), (other, second), (.95, .78)]),
                  convex(u, v, [(-.95, .78), (-.62, .12), (-.5, .12), (0, .78)]))
    zigzag = (u - peak) * (1 / rng.uniform(.2, .28))
    zigzag = (np.abs(zigzag - np.floor(zigzag) - .5) - .25) * .36
    high, low = v - zigzag - (top + .5), v - zigzag - (second + .24)
    snow = union(intersect(first, high * .6), intersect(front, low * .6, other - .26 - u))
    furrows = union(*[stroke(u, v, [(x, y), (x + lean, y + long * .55), (x + lean * .7, y + long)], .03, .008)
                      for x, y, lean, long in [(peak + .1, top + .84, .1, .5), (peak - .2, top + .82, -.08,
                                                                                .36),
                                               (other + .05, second + .48, .1, .3)]])
    firs, count = [], int(rng.integers(3, 6))
    for x in [-.72, .68, -.52, .44, .0][:count]:
        tall = rng.uniform(.3, .42)
        firs.append(convex(u, v, [(x, .84 - tall), (x + .12, .84), (x - .12, .84)]))
    return [body(front, .3), dark(furrows), light(snow, .1), accent(union(*firs))]


def cactus(u, v, rng):
    """Saguaro with two arms, ribs and spines, a flower on top, in a pot."""
    half, left, right = rng.uniform(.21, .26), rng.uniform(.0, .2), rng.uniform(-.15, .1)
    column = capsule(u, v, 0, -.55, 0, .5, half)
    arms = [stroke(u, v, curve([(0, left), (-.48, left - .01), (-.58, left - .15),
                                (-.58, left - rng.uniform(.3, .5))], 3), .125),
            stroke(u, v, curve([(0, right), (.46, right - .01), (.57, right - .15),
                                (.57, right - rng.uniform(.25, .5))], 3), .12)]
    ribs = union(*[capsule(u, v, x, -.62, x, .4, .016) for x in (-.11, 0, .11)])
    dashes = [capsule(u, v, x - .025, y, x + .025, y - .04, .013) for x, y in [(-.055, -.4), (.055, -.25),
                                                                               (-.055, -.05), (.055, .12),
                                                                               (-.055, .28),
                                                                               (-.58, left - .3),
                                                                               (.57, right - .25)]]
    bloom = union(*[ellipse(u, v, .1 * math.cos(a), -.8 + .07 * math.sin(a), .1, .06, a) for a in (-2.8, -2.1,
                                                                                                   -1.57,
                                                                                                   -1.0,
                                                                                                   -.35)])
    pot = convex(u, v, [(-.4, .5), (.4, .5), (.31, .92), (-.31, .92)], .03)
    rim = box(u, v, 0, .48, .45, .09, .03)
    return [body(blend(column, *arms, k=.06), .2), dark(ribs), light(union(*dashes)), accent(bloom),
            light(circle(u, v, 0, -.78, .05)), accent(union(pot, rim)), dark(box(u, v, 0, .585, .36, .018))]


def apple(u, v, rng):
    """Apple with stalk and leaf, a glint, sometimes bitten."""
    wide, dip = rng.uniform(.84, .93), rng.uniform(.1, .16)
    fruit = outline(u, v, mirror([(0, -.5 + dip), (-.28, -.55), (-.66, -.48), (-wide, .02), (-wide * .75, .6),
                                  (-.34, .92), (0, .85)]))
    bitten = rng.random() < .4
    if bitten:
        bite = union(circle(u, v, .92, -.12, .2), circle(u, v, .88, .12, .18), circle(u, v, .96, .3, .15))
        fruit = subtract(fruit, bite)
    stalk = stroke(u, v, curve([(0, -.3), (-.01, -.6), (.1, -.9)], 3), .045, .055)
    foliage = outline(u, v, [(.05, -.6), (.14, -.84), (.42, -.95), (.68, -.88), (.52, -.64), (.28, -.55)],
                      corners=(0, 3))
    vein = stroke(u, v, [(.1, -.63), (.4, -.76), (.58, -.84)], .018, .01)
    glint = stroke(u, v, curve([(-.5, -.28), (-.66, -.06), (-.68, .2)], 3), .05, .03)
    hollow = intersect(ellipse(u, v, 0, -.47, .26, .1), fruit + .01)
    pips = [] if not bitten else [light(intersect(circle(u, v, .92, .05, .36), fruit))]
    return [body(fruit, .5), *pips, dark(hollow), dark(stalk), accent(foliage), dark(vein), light(glint)]


def heart(u, v, rng):
    """Heart with a glint, shot through by an arrow or with a smaller heart inside."""
    wide, dip = rng.uniform(.86, .93), rng.uniform(-.5, -.42)

    def shape(size, cx=0., cy=0.):
        left = [(0, dip), (-.2, -.72), (-.5, -.84), (-.8, -.68), (-wide, -.3), (-.72, .2), (-.35, .6),
                (0, .92)]
        points = [(cx + size * x, cy + size * y) for x, y in left]
        return outline(u, v, points + [(2 * cx - x, y) for x, y in points[-2:0:-1]], corners=(0, 7))

    glint = stroke(u, v, curve([(-.62, -.26), (-.62, -.48), (-.44, -.64)], 3), .03, .055)
    parts = [body(shape(1.), .5), light(glint)]
    if rng.random() < .5:
        y = rng.uniform(.1, .3)
        shaft = union(capsule(u, v, -.88, y, -.5, y - .1, .042), capsule(u, v, .34, y - .32, .86, y - .46,
                                                                         .042))
        tip = convex(u, v, [(.95, y - .48), (.76, y - .58), (.8, y - .28)])
        feathers = union(*[capsule(u, v, -.9 + d, y + .01 - d * .26, -.97 + d, y + s * .13, .026)
                           for d in (.06, .16) for s in (-1, 1)])
        return parts + [accent(shaft), dark(tip), accent(feathers), dark(ellipse(u, v, -.5, y - .1, .03,
                                                                                 .07)),
                        dark(ellipse(u, v, .34, y - .32, .03, .07))]
    size = rng.uniform(.4, .5)
    inner = shape(size, .1, .02)
    return parts + [accent(inner), light(line(inner, .022))]


def five_star(u, v, rng):
    """Fat star with a border line; a smiling face, or a smaller star inside."""
    inner, tilt = rng.uniform(.43, .54), rng.uniform(-.12, .12)
    shape = star(u, v, 0, .06, 1.02, inner * 1.04, tilt, .06)
    parts = [body(shape, .3), light(line(shape + .13, .024))]
    if rng.random() < .35:
        core = star(u, v, 0, .06, .5, inner * .5, tilt, .03)
        return parts + [accent(core), dark(line(core, .02)), light(circle(u, v, 0, .06, .08))]
    gap, y = rng.uniform(.15, .2), rng.uniform(-.06, .02)
    eyes = union(*[ellipse(u, v, side * gap, y, .06, .085) for side in (-1, 1)])
    glints = union(*[circle(u, v, side * gap - .02, y - .03, .024) for side in (-1, 1)])
    smile = arc(u, v, 0, y + .1, .15, .03, 20, 160)
    cheeks = union(*[ellipse(u, v, side * (gap + .15), y + .16, .08, .06) for side in (-1, 1)])
    return parts + [dark(eyes), light(glints), dark(smile), accent(cheeks)]
