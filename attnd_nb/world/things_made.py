"""Houses, vehicles and other large made things, drawn facing left in the box [-1, 1]² (v points down)."""

import math

import numpy as np

from .outlines import curve, mirror, outline, profile
from .shapes import (
    accent,
    arc,
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
    stroke,
    subtract,
    turn,
    union,
)


def house(u, v, rng):
    """Gabled house: roof, chimney, door, windows with crossbars."""
    half, eaves, top = rng.uniform(.62, .76), rng.uniform(-.22, -.05), -.92
    walls = convex(u, v, [(-half, .9), (-half, eaves), (0, top + .1), (half, eaves), (half, .9)])
    over = half + .17
    low = eaves + (eaves - top) * .2
    roof = union(*[stroke(u, v, [(0, top + .1), (side * over, low)], .1, .085) for side in (-1, 1)])
    x = half * rng.uniform(.55, .68)
    chimney, cap = box(u, v, x, eaves - .38, .1, .36), box(u, v, x, eaves - .72, .14, .05, .01)
    side = rng.uniform(.28, .36)
    door = union(box(u, v, -side, .62, .15, .28, .03), circle(u, v, -side, .36, .15))
    panes = [(side, .38, .19)] if rng.random() < .6 else [(side - .16, .4, .13), (side + .18, .4, .13)]
    window = union(*[box(u, v, px, py, r, .2) for px, py, r in panes])
    bars = union(*[union(box(u, v, px, py, .016, .2), box(u, v, px, py, r, .016)) for px, py, r in panes])
    attic = circle(u, v, 0, eaves - .14, .13)
    cross = union(box(u, v, 0, eaves - .14, .014, .13), box(u, v, 0, eaves - .14, .13, .014))
    flowers = [accent(union(*[box(u, v, px, py + .24, r + .05, .05, .02) for px, py,
                              r in panes]))] if rng.random() < .5 else []
    return [accent(chimney), dark(cap), body(walls, .14), accent(roof, .1), light(attic),
            dark(union(line(attic, .024), cross)), light(window), dark(union(bars, line(window, .026))),
            *flowers, dark(door), light(circle(u, v, -side + .08, .6, .03)), accent(box(u, v, -side, .9, .22,
                                                                                        .04))]


def boat(u, v, rng):
    """Sailing boat: planked hull with portholes, mast, two sails, pennant, waves."""
    mast, bow = rng.uniform(-.02, .12), rng.uniform(.08, .2)
    hull = outline(u, v, [(-.95, .12), (-.4, .24), (.3, .26), (.92, .2), (.74, .66), (.6, .82), (-.48, .82),
                          (-.74, .6)], corners=(0, 3, 5, 6))
    deck = intersect(line(v - .32 + .06 * u * u, .05), hull)
    main = outline(u, v, [(mast + .06, -.84), (mast + .5, -.4), (.82, .1), (.4, .12), (mast + .06, .1)],
                   corners=(0, 2, 4))
    jib = convex(u, v, [(mast - .06, -.72), (mast - .06, .08), (-.88 + bow * .4, .06)], .04)
    pole = capsule(u, v, mast, -.9, mast, .3, .026)
    flag = convex(u, v, [(mast, -.94), (mast + .3, -.86), (mast, -.78)])
    bands = intersect(union(box(u, v, .4, -.22, .6, .05),
                            *([box(u, v, .4, -.02, .6, .03)] if rng.random() < .5 else [])), main + .01)
    n = int(rng.integers(2, 5))
    holes = [(-.36 + .66 * i / (n - 1), .53) for i in range(n)]
    waves = union(*[arc(np.abs(u), v, x, .74, .15, .032, 20, 160) for x in (.15, .45, .75)])
    return [dark(pole), accent(flag), light(main, .25), accent(bands), accent(jib, .2), body(hull, .25),
            accent(deck), dark(union(*[circle(u, v, x, y, .085) for x, y in holes])),
            light(union(*[circle(u, v, x, y, .055) for x, y in holes])), accent(waves)]


def car(u, v, rng):
    """Small car from the side: windows, wheels with hubs, lamps, bumper."""
    top, cabin, front = rng.uniform(-.6, -.48), rng.uniform(-.08, .1), rng.uniform(-.06, .04)
    shape = outline(u, v, [(-.94, .38), (-.93, .12), (-.78, front), (-.5, front - .06),
                           (cabin - .36, top + .06), (cabin, top), (cabin + .42, top + .06), (.76, -.08),
                           (.92, .04), (.94, .38)], corners=(0, 3, 9))
    glass = outline(u, v, [(-.4, -.08), (cabin - .3, top + .16), (cabin, top + .11), (cabin + .36, top + .16),
                           (.6, -.08)], corners=(0, 4))
    panes = subtract(intersect(glass, v + .09), box(u, v, cabin + .06, -.2, .035, .4))
    wheels = [(-.52, .42), (.53, .42)]
    r = rng.uniform(.22, .25)
    arches = union(*[circle(u, v, x, y, r + .05) for x, y in wheels])
    stripe = intersect(box(u, v, 0, .14, .95, .045), shape + .02)
    lamp = ellipse(u, v, -.85, .13, .07, .09)
    bumper = union(capsule(u, v, -.93, .4, -.72, .4, .05), capsule(u, v, .75, .4, .93, .4, .05))
    rack = [dark(union(box(u, v, cabin, top - .06, .36, .02), *[box(u, v, cabin + d, top - .03, .02, .04)
                                                                for d in (-.28, .28)])),
            accent(box(u, v, cabin, top - .16, .25, .09, .03))] if rng.random() < .5 else []
    return [*rack, body(shape, .3), accent(stripe), light(panes), dark(line(panes, .016)),
            dark(capsule(u, v, cabin + .06, -.06, cabin + .06, .36, .012)),
            dark(capsule(u, v, cabin + .14, .04, cabin + .26, .04, .02)), light(lamp),
            accent(ellipse(u, v, .88, .13, .05, .08)), dark(bumper), dark(arches, .01),
            dark(union(*[circle(u, v, x, y, r) for x, y in wheels]), .1),
            light(union(*[circle(u, v, x, y, r * .5) for x, y in wheels])),
            accent(union(*[circle(u, v, x, y, r * .2) for x, y in wheels]))]


def rocket(u, v, rng):
    """Rocket in flight: nose, portholes, fins, flame."""
    half, low = rng.uniform(.35, .42), .46
    hull = outline(u, v, mirror([(0, -.95), (-half * .55, -.66), (-half, -.22), (-half, .16),
                                 (-half * .66, low), (0, low + .02)]), corners=(0, 4))
    nose = intersect(hull, v + .52)
    fin = outline(abs(u), v, [(half * .8, -.08), (half + .22, .16), (.7, .66), (.4, .5), (half * .5, .4)],
                  corners=(0, 2, 4))
    keel = capsule(u, v, 0, .18, 0, .52, .05)
    nozzle = profile(u, v, [low, low + .1], [half * .5, half * .72], smooth=False)
    flame = union(*[stroke(u, v, [(x, .6), (x * 1.5, tip)], .12, .01) for x, tip in ((-.12, .82), (.12, .82),
                                                                                     (0, .93))])
    core = stroke(u, v, [(0, .58), (0, .84)], .1, .01)
    y, r = -.2, rng.uniform(.13, .17)
    second = circle(u, v, 0, .12, .09) if rng.random() < .6 else intersect(line(v - .12, .03), hull)
    return [accent(flame), light(core), accent(fin, .2), dark(nozzle), body(hull, .3), accent(nose, .25),
            light(intersect(line(v + .48, .026), hull)), dark(circle(u, v, 0, y, r + .04)),
            light(circle(u, v, 0, y, r)), light(second), dark(line(second, .018)), accent(keel)]


def kite(u, v, rng):
    """Diamond kite with spars, a coloured panel and a tail of bows."""
    tilt, cross, wide = rng.uniform(.3, .5), rng.uniform(-.28, -.2), rng.uniform(.7, .76)
    a, b = turn(u, v, tilt, .2, -.2)
    top, low = -.74, .78
    sail = convex(a, b, [(0, top), (wide, cross), (0, low), (-wide, cross)])
    panel = intersect(sail, cross - b, -a)
    bright = convex(
        a, b, [(0, top), (-wide * .5, (top + cross) / 2), (0, cross), (wide * .5, (top + cross) / 2)])
    spars = union(intersect(line(a, .024), sail), intersect(line(b - cross, .024), sail))
    x, y = .2 - math.sin(tilt) * low, -.2 + math.cos(tilt) * low
    path = curve([(x, y), (x - .2, y + .12), (x - .5, y - .05), (-.84, y - .2), (-.68, y - .5),
                  (-.86, y - .74)], 3)
    bows = []
    for k in (4, 8, 13):
        px, py = path[k].tolist()
        m = np.abs(u - px)
        bows.append(convex(m, v, [(-.01, py), (.13, py - .1), (.13, py + .1)], .02))
    return [dark(stroke(u, v, path, .024)), accent(union(*bows)), body(sail, .15), accent(panel, .2),
            light(bright, .15), dark(spars)]


def umbrella(u, v, rng):
    """Open umbrella: scalloped canopy with some panels coloured, stick and crook."""
    n, top, low, wide = int(rng.integers(4, 7)), -.8, rng.uniform(.1, .24), rng.uniform(.86, .94)
    seams_at = [wide * abs(1 - 2 * i / n) + 1e-3 for i in range(n // 2 + 1)]  # the seams are meridians
    domes = [ellipse(u, v, 0, low, half, low - top) for half in seams_at]
    cell = (u + wide) * (n / (2 * wide))
    scallops = ellipse((cell - np.floor(cell) - .5) * (2 * wide / n), v, 0, low + .02, wide / n, .13)
    canopy = subtract(intersect(domes[0], v - low), scallops)
    panels = []
    for i in range(1 - n % 2 * int(rng.integers(2)), n, 2 + n % 2):
        ring = min(i, n - 1 - i)
        whole = n % 2 and ring == n // 2
        panels.append(domes[ring] if whole else
                      intersect(domes[ring], -domes[ring + 1], u if i < n - 1 - i else -u))
    stick, tip = capsule(u, v, 0, -.2, 0, .66, .04), capsule(u, v, 0, -.92, 0, top, .03, .045)
    crook = union(arc(u, v, .2, .68, .2, .055, 0, 180), capsule(u, v, 0, .5, 0, .68, .055))
    seams = union(*[line(dome, .016) for dome in domes[1:]])
    return [dark(union(stick, tip)), accent(crook), body(canopy, .35),
            accent(intersect(union(*panels), canopy + .004), .2), dark(intersect(seams, canopy)),
            dark(circle(u, v, 0, top + .02, .05))]


def chair(u, v, rng):
    """Chair seen a little from above: slatted back, seat with a cushion, four legs."""
    half, seat, n = rng.uniform(.5, .58), rng.uniform(.1, .2), int(rng.integers(2, 4))
    m = np.abs(u)
    posts = capsule(m, v, half, -.84, half, seat, .075)
    rail = outline(u, v, mirror([(0, -.94), (-half * .6, -.92), (-half - .04, -.82), (-half, -.58),
                                 (0, -.62)]))
    slats = union(*[box(u, v, 0, -.62 + (seat + .45) * (i + 1) / (n + .6), half, .075) for i in range(n)])
    board = convex(u, v, [(-half, seat - .12), (half, seat - .12), (half + .22, seat + .26),
                          (-half - .22, seat + .26)], .04)
    edge = box(u, v, 0, seat + .31, half + .22, .06, .02)
    front = capsule(m, v, half + .13, seat + .32, half + .15, .86, .08, .06)
    rear = capsule(m, v, half - .06, seat + .3, half - .06, .7, .06, .05)
    cushion = convex(u, v, [(-half + .1, seat - .1), (half - .1, seat - .1), (half + .04, seat + .22),
                            (-half - .04, seat + .22)], .12)
    return [dark(union(rear, box(u, v, 0, .56, half, .03))), body(union(posts, rail, slats), .09),
            body(front, .09), body(board, .12), dark(line(board, .014)), body(edge, .08), accent(cushion),
            light(circle(u, v, 0, seat + .05, .04)),
            *([accent(circle(u, v, 0, -.77, .07))] if rng.random() < .5 else [])]
