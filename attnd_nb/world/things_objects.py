"""Household objects, drawn in the box [-1, 1]² (v points down)."""

import math

import numpy as np

from .outlines import curve, mirror, outline, profile
from .shapes import (
    accent,
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
    union,
)


def cup(u, v, rng):
    """Steaming cup with a handle, on a saucer."""
    top, half, foot = rng.uniform(-.36, -.26), rng.uniform(.58, .64), rng.uniform(.3, .44)
    cx = -.14
    a = u - cx
    bowl = outline(a, v, [(-half, top), (-half * .97, .2), (-foot, .66), (0, .74), (foot, .66),
                          (half * .97, .2), (half, top), (0, top + .12)], corners=(0, 6))
    handle = line(ellipse(a, v, half + .06, top + .42, .24, .29), .075)
    rim = ellipse(a, v, 0, top, half, .14)
    drink = ellipse(a, v, 0, top + .02, half - .09, .085)
    saucer = ellipse(a, v, .04, .79, .8, .13)
    band = intersect(line(v - .16 + .12 * a * a, .06), bowl + .012)
    dots = union(*[circle(a, v, x, .18 - .12 * x * x, .035) for x in (-.4, -.2, 0, .2, .4)])
    steam = union(*[stroke(a, v, curve([(x, top - .14), (x - .07, top - .28), (x + .06, top - .42),
                                        (x, top - .56)], 3), .035, .02) for x in (-.24, .02,
                                                                                  .28)[:int(rng.integers(2,
                                                                                                         4))]])
    return [light(steam), accent(saucer), dark(ellipse(a, v, .04, .76, .4, .045)), accent(handle),
            body(bowl, .4), accent(band), light(dots), light(rim), dark(drink)]


def teapot(u, v, rng):
    """Round teapot: spout, handle, lid with a knob."""
    wide, high = rng.uniform(.54, .6), rng.uniform(.46, .53)
    belly = ellipse(u, v, .02, .26, wide, high)
    spout = outline(u, v, [(-.36, .02), (-.6, .0), (-.7, -.22), (-.8, -.36), (-.97, -.3), (-.9, -.08),
                           (-.8, .26), (-.6, .5), (-.36, .56)], corners=(3, 4, 0, 8))
    handle = line(ellipse(u, v, wide + .02, .18, .33, .34), .065)
    lid = intersect(ellipse(u, v, .02, -.12, wide * .66, .26), v + .1)
    rim = box(u, v, .02, -.12, wide * .7, .045, .04)
    pitch = rng.uniform(.22, .32)
    a = u * (1 / pitch)  # a belt of flowers, one drawn in every cell
    a = (a - np.floor(a) - .5) * pitch
    belt = box(u, v, .02, .3, pitch * 1.5, .2)
    petals = intersect(union(*[circle(a, v, .06 * math.cos(k * 1.2566), .3 + .06 * math.sin(k * 1.2566), .042)
                               for k in range(5)]), belt)
    glint = stroke(u, v, curve([(-wide * .5, -.02), (-wide * .7, .1), (-wide * .76, .24)], 2), .035, .02)
    return [accent(handle), accent(box(u, v, .02, .78, wide * .58, .06, .03)), body(union(spout, belly), .4),
            light(petals), accent(intersect(circle(a, v, 0, .3, .035), belt)), accent(lid, .2), dark(rim),
            accent(circle(u, v, .02, -.45, rng.uniform(.09, .12))), light(glint)]


def bottle(u, v, rng):
    """Corked bottle with a label."""
    half, neck, shoulder = rng.uniform(.32, .42), rng.uniform(.11, .15), rng.uniform(-.28, -.08)
    glass = profile(u, v, [-.8, -.52, shoulder, .88, .92], [neck, neck, half, half, half - .05])
    lip = box(u, v, 0, -.76, neck + .05, .055, .03)
    cork = box(u, v, 0, -.87, neck - .02, .08, .02)
    y = (shoulder + .9) / 2 + .06
    tall = rng.uniform(.2, .26)
    label = box(u, v, 0, y, half - .005, tall)
    mark = [star(u, v, 0, y, .15, .07), circle(u, v, 0, y, .13), union(circle(u, v, -.07, y, .08),
                                                                       circle(u, v, .07, y,
                                                                              .08))][int(rng.integers(3))]
    lines = union(*[box(u, v, 0, y + d, half - .02, .018) for d in (tall - .05, .05 - tall)])
    glint = capsule(u, v, -half * .68, shoulder + .14, -half * .68, y - tall - .09, .03)
    return [dark(cork), body(glass, .3), accent(lip), light(label, .05), accent(mark), accent(lines),
            light(glint), light(capsule(u, v, -neck * .4, -.6, -neck * .4, -.48, .02))]


def key(u, v, rng):
    """Old key: trefoil or round bow, collared shaft, toothed bit."""
    y, r = -.5, rng.uniform(.38, .43)
    if rng.random() < .5:
        bow = union(*[circle(u, v, x, h, .26) for x, h in ((-.25, y + .1), (.25, y + .1), (0, y - .18))])
        holes = [circle(u, v, x, h, .12) for x, h in ((-.25, y + .1), (.25, y + .1), (0, y - .18))]
    else:
        bow = ellipse(u, v, 0, y, r * 1.15, r)
        holes = [ellipse(u, v, 0, y, r * .55, r * .45)]
    shaft = capsule(u, v, 0, y + .2, 0, .84, .105)
    n = int(rng.integers(2, 4))
    teeth = [box(u, v, .26, .8 - .2 * i, .2 + rng.uniform(-.05, .03), .075, .015) for i in range(n)]
    bit = box(u, v, .16, .8 - .1 * (n - 1), .14, .1 * (n - 1) + .075)
    collars = union(box(u, v, 0, .0, .17, .05, .03), box(u, v, 0, .13, .15, .035, .03))
    gem = circle(u, v, 0, y + .28, .09)
    return [body(subtract(union(bow, shaft, bit, *teeth), *holes), .11), accent(collars),
            accent(union(*[line(h, .028) for h in holes])), light(gem), dark(capsule(u, v, -.03, .26, -.03,
                                                                                     .78, .016))]


def lamp(u, v, rng):
    """Table lamp: shade with trimmings, turned base, pull chain."""
    upper, lower, low = rng.uniform(.34, .48), rng.uniform(.74, .86), rng.uniform(.1, .2)
    shade = profile(u, v, [-.9, low], [upper, lower], smooth=False)
    trim = union(*[intersect(line(v - y, .045), shade) for y in (-.855, low - .045)])
    half = rng.uniform(.22, .32)
    base = profile(u, v, [low, low + .14, .5, .72, .8], [.07, .08, half, .1, .14])
    foot = union(profile(u, v, [.78, .92], [.3, .46]))
    bulb = intersect(circle(u, v, 0, low, .2), -(v - low))
    n = int(rng.integers(3, 6))
    pleats = union(*[capsule(u, v, upper * t, -.8, lower * t, low - .1, .014) for t in [(2 * i + 1) / n - 1
                                                                                        for i in range(n)]])
    chain = union(capsule(u, v, lower * .55, low, lower * .55, low + .24, .014), circle(u, v, lower * .55,
                                                                                        low + .27, .05))
    ring = box(u, v, 0, .5, half + .01, .035, .02)
    return [light(bulb), accent(base, .2), light(ring), dark(foot), dark(chain), body(shade, .4),
            dark(pleats), accent(trim), dark(capsule(u, v, 0, -.93, 0, -.9, .035))]


def guitar(u, v, rng):
    """Acoustic guitar: waisted body, sound hole, bridge, fretted neck, pegs."""
    low, waist, upper, m = rng.uniform(.5, .58), rng.uniform(.31, .37), rng.uniform(.4, .46), np.abs(u)
    trunk = outline(u, v, mirror([(0, -.17), (-upper * .7, -.15), (-upper, .08), (-waist, .32), (-low, .62),
                                  (-low * .66, .9), (0, .94)]))
    neck = convex(u, v, [(-.065, -.7), (.065, -.7), (.085, .14), (-.085, .14)])
    head = convex(u, v, [(-.14, -.95), (.14, -.95), (.095, -.68), (-.095, -.68)])
    fret = (v + .66) * (1 / .11)
    frets = intersect((np.abs(fret - np.floor(fret) - .5) - .1) * .11, m - .075, v + .1, -.63 - v)
    pegs = union(*[circle(m, v, .17, y, .04) for y in (-.9, -.82, -.74)])
    strings = union(*[capsule(m, v, x * .8, -.84, x, .66, .008) for x in (.017, .052)])
    guard = intersect(ellipse(u, v, .17, .46, .12, .2, -.4), trunk + .05)
    return [light(pegs), body(trunk, .2), light(line(trunk + .045, .014)), accent(guard),
            light(circle(u, v, 0, .24, .18)), dark(circle(u, v, 0, .24, .145)), dark(neck), accent(head),
            light(frets), dark(box(u, v, 0, .68, .18, .04, .01)), light(strings)]


def clock(u, v, rng):
    """Alarm clock: two bells, dial, hands, feet."""
    y, r = .12, .7
    case, dial = circle(u, v, 0, y, r), circle(u, v, 0, y, r - .19)
    feet = union(*[capsule(u, v, s * .4, .66, s * .54, .9, .075, .05) for s in (-1, 1)])
    bells = union(*[intersect(circle(u, v, s * .46, -.58, .29), (v + .58) * .83 - (u * s - .46) * .55 - .1)
                    for s in (-1, 1)])
    hammer = union(capsule(u, v, 0, -.62, 0, -.78, .04), box(u, v, 0, -.82, .1, .07, .03))
    arms = union(*[capsule(u, v, s * .3, -.36, s * .44, -.52, .035) for s in (-1, 1)])
    ticks = []
    for k in range(12):
        c, s = math.cos(k * math.pi / 6), math.sin(k * math.pi / 6)
        long = .1 if k % 3 == 0 else .04
        ticks.append(capsule(u, v, (r - .25) * c, y + (r - .25) * s, (r - .25 - long) * c,
                             y + (r - .25 - long) * s, .024 if k % 3 == 0 else .016))
    hour, minute = rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)
    hands = union(capsule(u, v, 0, y, .24 * math.cos(hour), y + .24 * math.sin(hour), .04, .03),
                  capsule(u, v, 0, y, .38 * math.cos(minute), y + .38 * math.sin(minute), .03, .018))
    return [dark(union(feet, arms)), accent(union(bells, hammer)), body(case, .17), dark(line(dial, .022)),
            light(dial, .05), dark(union(*ticks)), dark(hands), accent(circle(u, v, 0, y, .055))]


def crown(u, v, rng):
    """Crown with jewelled points and band."""
    n = int(rng.choice([3, 4, 5]))
    top, low, half = rng.uniform(-.62, -.5), .62, .84
    tips = [(t * half, top + .14 * abs(t)) for t in (2 * i / (n - 1) - 1 for i in range(n))]
    spread = rng.uniform(.86, 1.) / (n - 1)
    shape = union(convex(u, v, [(-half, .04), (half, .04), (.74, low), (-.74, low)]),
                  *[convex(u, v, [(x, y), (x * .92 + spread, .2), (x * .92 - spread, .2)]) for x, y in tips])
    shape = intersect(shape, convex(u, v, [(-half - .01, -.9), (half + .01, -.9), (half, -.4), (.74, low),
                                           (-.74, low), (-half, -.4)]))
    rubies = union(*[ellipse(u, v, x * .84, .14, .05, .11) for x, y in tips])
    m = np.abs(u)
    return [body(shape, .16), accent(union(*[circle(u, v, x, y - .06, .085) for x, y in tips])),
            light(union(*[circle(u, v, x - .025, y - .085, .028) for x, y in tips])), accent(rubies),
            accent(box(u, v, 0, .55, .78, .14, .05)), light(circle(m, v, .25, .55, .04)),
            dark(union(ellipse(m, v, .5, .55, .1, .08), ellipse(u, v, 0, .55, .1, .08))),
            light(union(*[circle(u, v, x - .03, .53, .025) for x in (-.5, 0, .5)]))]
