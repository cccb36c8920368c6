"""Animals, drawn facing left in the box [-1, 1]² (v points down)."""

import math

import numpy as np

from .outlines import curve, mirror, outline
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
    stroke,
    union,
)


def fish(u, v, rng):
    """Fish with fins, gill, eye and sometimes stripes."""
    tall, tail, m = rng.uniform(.42, .56), rng.uniform(.4, .54), np.abs(v)
    trunk = outline(u, v, [(-.94, .05), (-.7, -.28), (-.25, -tall), (.25, -tall * .62), (.58, -.12),
                           (.58, .14), (.25, tall * .66), (-.25, tall), (-.7, .34)])
    caudal = outline(u, m, [(.45, .0), (.45, .1), (.7, .2), (.94, tail), (.88, .12), (.8, .0), (.8, -.2),
                            (.45, -.2)], corners=(3, 6, 7))
    back = outline(u, v, [(-.4, -tall + .14), (-.22, -tall - .3), (.12, -tall - .26), (.38, -tall - .1),
                          (.4, -.16)], corners=(0, 3, 4))
    belly = ellipse(u, v, .06, tall + .02, .22, .11, .9)
    pectoral = ellipse(u, v, .02, .17, .22, .11, .35)
    gill = intersect(arc(u, v, -.72, .02, .36, .02, -52, 52), trunk + .04)
    rays = union(*[capsule(u, m, .68, s * .07, .86, s * tail * .68, .018, .01) for s in (.4, 1)])
    folds = union(*[capsule(u, v, -.06, .13 + d, .12, .17 + 2 * d, .014, .008) for d in (-.02, .02)])
    places = (.1, .34)[:int(rng.integers(0, 3))]
    stripes = [light(intersect(line(circle(u, v, x - .9, 0, .9), .045), trunk + .04)) for x in places]
    x, y, r = -.62, -.08, rng.uniform(.105, .13)
    mouth = stroke(u, v, [(-.92, .1), (-.83, .14), (-.76, .12)], .02)
    return [accent(union(caudal, back, belly)), dark(rays), body(trunk, .42), *stripes, dark(gill),
            accent(pectoral), dark(folds), light(circle(u, v, x, y, r)),
            dark(circle(u, v, x - .02, y, r * .56)), dark(mouth)]


def bird(u, v, rng):
    """Song bird standing in profile: beak, wing, breast, legs."""
    tail, fat = rng.uniform(-.05, .2), rng.uniform(-.04, .08)
    trunk = outline(u, v, [(-.42, -.9), (-.68, -.72), (-.7, -.42), (-.68, -.05), (-.5, .35 + fat),
                           (-.05, .55 + fat), (.34, .36), (.94, tail + .12), (.92, tail - .1), (.35, -.08),
                           (.05, -.38), (-.14, -.74)], corners=(7, 8))
    breast = intersect(ellipse(u, v, -.58, .22, .42, .34, .9), trunk + .015)
    beak = convex(u, v, [(-.64, -.73), (-.64, -.44), (-.97, -.55)], .03)
    wing = outline(u, v, [(-.38, -.12), (-.08, -.28), (.3, -.08), (.72, .2 + tail * .3), (.3, .26),
                          (-.08, .28), (-.34, .14)], corners=(3,))
    feathers = union(*[stroke(u, v, [(-.12 + d, .16 - 1.6 * d), (.14 + d, .13 - 1.3 * d), (.34 + d, .12 - d)],
                              .018, .01) for d in (0, .06, .12)])
    legs = union(*[stroke(u, v, [(x, .48), (x + .04, .86), (x - .12, .9)], .028) for x in (-.24, .04)],
                 *[capsule(u, v, x + .04, .86, x + .13, .9, .024) for x in (-.24, .04)])
    crest = [accent(union(*[capsule(u, v, -.36, -.84, -.3 + .1 * k, -.95 + .05 * k, .045, .015)
                            for k in range(3)]))]
    return [dark(legs), *(crest if rng.random() < .4 else []), accent(beak), body(trunk, .38),
            light(breast, .2), accent(wing, .2), dark(feathers), dark(circle(u, v, -.48, -.62, .085)),
            light(circle(u, v, -.51, -.65, .03)), dark(capsule(u, v, -.9, -.56, -.68, -.57, .012))]


def cat(u, v, rng):
    """Sitting cat from the front: ears, whiskers, collar, curled tail, sometimes striped."""
    hip, ear, y, m = rng.uniform(.42, .5), rng.uniform(.85, .92), -.36, np.abs(u)
    tail = stroke(u, v, curve([(.25, .78), (.6, .78), (.78, .5), (.66, .2), (.8, rng.uniform(-.12, .05))], 3),
                  .1, .07)
    trunk = outline(u, v, mirror([(0, -.1), (-.24, .0), (-.34, .35), (-hip, .68), (-.36, .9), (0, .92)]))
    head = blend(ellipse(u, v, 0, y, .5, .4), convex(m, v, [(.43, -ear), (.5, -.36), (.05, -.58)], .06),
                 k=.06)
    inner = convex(m, v, [(.385, -ear + .13), (.41, -.56), (.2, -.66)])
    slit = rng.uniform(.03, .06)
    nose = convex(u, v, [(-.07, y + .11), (.07, y + .11), (0, y + .19)], .02)
    mouth = arc(m, v, .075, y + .19, .075, .016, 10, 170)
    whiskers = union(*[capsule(m, v, .28, y + .14 + .05 * k, .64, y + .1 + .11 * k, .013) for k in (0, 1)])
    legs = union(box(u, v, 0, .76, .016, .15), arc(m, v, .3, .86, .22, .016, 210, 290))
    collar = intersect(arc(u, v, 0, -.22, .33, .05, 40, 140), trunk)
    tabby = [dark(union(capsule(u, v, 0, -.7, 0, -.58, .025, .015), capsule(m, v, .12, -.69, .1, -.6, .025,
                                                                            .015), capsule(m, v, .32, .46, .2,
                                                                                           .52, .03, .01),
                        capsule(m, v, .38, .6, .24, .66, .03, .01)))]
    return [body(tail, .1), body(trunk, .3), light(ellipse(u, v, 0, .3, .17, .24), .15), dark(legs),
            light(ellipse(m, v, .13, .87, .13, .07)), body(head, .35), *(tabby if rng.random() < .5 else []),
            accent(inner), light(ellipse(m, v, .2, y - .03, .1, .11)), dark(ellipse(m, v, .2, y - .03, slit,
                                                                                    .095)), accent(nose),
            dark(mouth), dark(whiskers), accent(collar), light(circle(u, v, 0, .14, .055))]


def rabbit(u, v, rng):
    """Rabbit sitting in profile: long ears, haunch, white tail."""
    lean, fat = rng.uniform(.0, .22), rng.uniform(.42, .48)
    ears = [outline(u, v, [(-.44 + d, -.42), (-.52 + d + lean * .3, -.7), (-.42 + d + lean, -.95),
                           (-.28 + d + lean, -.72), (-.28 + d, -.42)]) for d in (-.04, .22)]
    inner = ellipse(u, v, -.18 + lean * .45, -.66, .05, .19, .1 + lean * .9)
    trunk = blend(ellipse(u, v, .24, .42, .52, fat), ellipse(u, v, -.16, .36, .34, .42), ellipse(u, v, -.4,
                                                                                                 -.2, .38,
                                                                                                 .32, -.15),
                  k=.14)
    feet = union(ellipse(u, v, .02, .84, .36, .09), ellipse(u, v, -.42, .84, .17, .08))
    foreleg = capsule(u, v, -.34, .4, -.42, .84, .1)
    haunch = arc(u, v, .3, .5, .28, .02, 150, 330)
    tail = union(*[circle(u, v, .76 + .07 * math.cos(a), .5 + .07 * math.sin(a), .11) for a in (0, 1.6, 3.1,
                                                                                                4.7)])
    whiskers = union(*[capsule(u, v, -.62, -.1 + .04 * k, -.94, -.14 + .12 * k, .012) for k in range(2)])
    cheek = ellipse(u, v, -.44, -.02, .1, .065)
    return [light(tail, .15), body(ears[1], .15), accent(inner), body(union(trunk, foreleg, feet, ears[0]),
                                                                      .35), dark(haunch), accent(cheek),
            dark(ellipse(u, v, -.5, -.26, .065, .08)), light(circle(u, v, -.525, -.285, .026)),
            accent(ellipse(u, v, -.755, -.16, .05, .04)), dark(whiskers), dark(capsule(u, v, -.12, .89, .1,
                                                                                       .89, .012))]


def owl(u, v, rng):
    """Owl from the front on a branch: large eyes, beak, wings, speckled breast."""
    wide, tuft, m = rng.uniform(.6, .7), rng.uniform(.84, .93), np.abs(u)
    shape = outline(u, v, mirror([(0, -.72), (-.3, -.76), (-.56, -tuft), (-.55, -.5), (-wide, .0),
                                  (-wide * .9, .45), (-.3, .8), (0, .83)]), corners=(2,))
    breast = intersect(ellipse(u, v, 0, .36, wide * .62, .42), shape + .03)
    wing = intersect(ellipse(m, v, wide - .02, .28, .19, rng.uniform(.42, .48), .16), shape - .06)
    pitch = rng.uniform(.17, .2)
    row = np.floor(v * (1 / .15))
    a = u * (1 / pitch) + .5 * (row % 2)
    marks = arc((a - np.floor(a) - .5) * pitch, v - row * .15, 0, .05, .055, .017, 10, 170)
    marks = intersect(marks, breast + .06)
    eye, gap, y, look = rng.uniform(.21, .25), .25, -.36, rng.uniform(-.03, .03)
    pupils = union(*[circle(u, v, s * gap + look, y, eye * .6) for s in (-1, 1)])
    feet = union(*[capsule(m, v, .2 + d, .8, .2 + d, .88, .042) for d in (-.08, 0, .08)])
    return [dark(capsule(u, v, -.95, .9, .95, .88, .055, .045)), body(shape, .35), light(breast, .2),
            dark(marks), accent(wing, .2), accent(feet), accent(circle(m, v, gap, y, eye + .05)),
            light(circle(m, v, gap, y, eye)), dark(pupils),
            light(union(*[circle(u, v, s * gap + look - .05, y - .06, .04) for s in (-1, 1)])),
            accent(convex(u, v, [(-.08, -.26), (.08, -.26), (0, -.04)], .02))]


def snail(u, v, rng):
    """Snail: spiral shell, soft foot with two stalked eyes."""
    r, cx, cy = rng.uniform(.56, .62), .22, -.04
    foot = outline(u, v, [(-.9, .18), (-.68, .0), (-.5, .18), (-.42, .5), (.2, .5), (.94, .72), (.6, .8),
                          (-.4, .82), (-.75, .74), (-.88, .48)], corners=(5,))
    stalks = union(*[stroke(u, v, curve([(-.7 + d * .4, .2), (-.72 + d, -.15), (-.76 + d * 1.7, -.38)], 3),
                            .04, .032) for d in (-.04, .14)])
    tips = [(-.76 - .068, -.42), (-.76 + .238, -.42)]
    shell = circle(u, v, cx, cy, r)
    du, dv = u - cx, v - cy
    radius = np.sqrt(du * du + dv * dv)
    pitch = r / rng.uniform(2.2, 2.9)
    phase = radius * (1 / pitch) - np.arctan2(dv, du) * (1 / (2 * math.pi)) + .55
    spiral = intersect((np.abs(phase - np.floor(phase) - .5) - .5) * -pitch - .034, shell + .02, .06 - radius)
    return [accent(union(foot, stalks), .2), light(union(*[circle(u, v, x, y, .085) for x, y in tips])),
            dark(union(*[circle(u, v, x - .02, y, .045) for x, y in tips])), body(shell, .5),
            dark(spiral, .05), dark(arc(u, v, -.76, .34, .12, .02, 60, 160)),
            light(ellipse(u, v, cx - .28, cy - .32, .1, .05, -.8))]


def butterfly(u, v, rng):
    """Butterfly with open, spotted wings, seen from above."""
    top, low = rng.uniform(.78, .9), rng.uniform(.66, .8)
    m = np.abs(u)
    upper = outline(m, v, [(.02, -.18), (.3, -.62), (.7, -top), (.94, -.72), (.88, -.3), (.62, -.02),
                           (.05, .08)], corners=(0, 6))
    lower = outline(m, v, [(.02, .0), (.5, .04), (.78, .3), (low, .68), (.5, .84), (.28, .62), (.05, .3)],
                    corners=(0, 6))
    patch = outline(m, v, [(.16, -.2), (.38, -.52), (.66, -.66), (.72, -.4), (.5, -.16)])
    eye = ellipse(m, v, .5, .42, rng.uniform(.16, .2), .2, .3)
    spots = union(*[circle(m, v, x, y, r) for x, y, r in [(.8, -.62, .06), (.82, -.42, .05),
                                                          (.66, -.12, .045), (.6, .68, .05),
                                                          (.42, .66, .04)]])
    trunk = union(capsule(u, v, 0, -.2, 0, .5, .075, .04), circle(u, v, 0, -.28, .095))
    feelers = stroke(m, v, curve([(.02, -.34), (.1, -.62), (.26, -.82)], 3), .02)
    parts = [body(union(upper, lower), .22), accent(patch), accent(eye), light(ellipse(m, v, .5, .42, .07,
                                                                                       .09, .3)),
             light(spots)]
    if rng.random() < .5:
        parts.insert(1, dark(line(intersect(union(upper, lower), union(upper, lower)) + .035, .02)))
    return parts + [dark(union(trunk, feelers, circle(m, v, .27, -.84, .045)))]
