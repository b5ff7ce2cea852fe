#!/usr/bin/env python3
"""Measures what `motion = "jpeg"` finds, misses and reports falsely: a table for docs/motion.md.

  motion.py FOLDER [SCENE]…    FOLDER has the clips that docs/motion.md names; scenes whose clip is not
                               there are left out

HOUR=600 makes the long scenes shorter; MOTION is the program, see examples/motion.rs.

Pictures are made as cameras make them: two a second, 640 wide, JPEG. What moves when is known of the
synthetic scenes by construction, and was written down for the others by looking at them.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get("MOTION", os.path.join(HERE, "../target/fuzz/examples/motion"))
# Motion found up to this long after a movement ended belongs to it.
LATE = 2.0
# A street by day and by night, in which nothing moves: one picture, repeated.
DAY = "[0]trim=end_frame=1,scale=640:360,loop=-1:1,fps=2,setpts=N/2/TB[still]"
WEAK, STRONG = "noise=alls=8:allf=t", "noise=alls=30:allf=t"
NIGHT = "hue=s=0,eq=brightness=-0.25:contrast=0.5"


def every(seconds, length, until, first=20):
    return [(at, at + length) for at in range(first, until, seconds)]


def moving(width, height, speed, colour, every_s, length, y):
    """A box that crosses the picture again and again."""
    since = f"mod(t-20+{every_s},{every_s})"
    return (
        f"color={colour}:s={width}x{height}:r=2[box];[quiet][box]overlay=eval=frame:shortest=1:"
        f"x='if(gte(t,20)*lt({since},{length}),20+{since}*{speed},-999)':y={y}"
    )


def scene(*steps):
    """A filter chain from [still], with [quiet] in the middle if something is laid over it."""
    return DAY + ";[still]" + ",".join(steps)


HOUR = int(os.environ.get("HOUR", 3600))

# Name, clip, filter, seconds, and spans of movement.
CASES = [
    ("people walk by day (vtest.avi)", "vtest.avi", "fps=2,scale=640:-2", 79, [(0, 79)]),
    ("infrared at night, a far person with a torch, insects", "night.mp4", "fps=2,scale=640:-2", 175,
     [(0, 48), (50, 88), (90, 101)]),
    ("a road full of cars by day (video02.avi)", "video02.avi", "fps=2,scale=640:-2", 30, [(0, 30)]),
    ("a cloud and the exposure that follows, nothing moves (brightness.avi)", "brightness.avi",
     "fps=2,scale=640:-2", 5, []),
    ("leaves fill the picture in wind (tree.avi)", "tree.avi", "fps=2,scale=640:-2", 29, []),
    ("still, weak noise", "vtest.avi", scene(WEAK), HOUR, []),
    ("still at night, strong noise", "vtest.avi", scene(NIGHT, STRONG), HOUR, []),
    ("far person, 8x20 pixels, 12 pixels a second", "vtest.avi",
     scene(WEAK + "[quiet]") + ";" + moving(8, 20, 12, "0x202020", 60, 10, 230), 620, every(60, 10, 600)),
    ("the same at night", "vtest.avi",
     scene(NIGHT, STRONG + "[quiet]") + ";" + moving(8, 20, 12, "0x808080", 60, 10, 230), 620,
     every(60, 10, 600)),
    ("near person, 60x150 pixels, 80 pixels a second", "vtest.avi",
     scene(WEAK + "[quiet]") + ";" + moving(60, 150, 80, "0x303060", 60, 7, 180), 620, every(60, 7, 600)),
    ("car, 160x80 pixels, 300 pixels a second", "vtest.avi",
     scene(WEAK + "[quiet]") + ";" + moving(160, 80, 300, "0xa0a0a0", 60, 2, 240), 620, every(60, 2, 600)),
    ("light: a step of a fifth, up and down", "vtest.avi",
     scene("eq=eval=frame:brightness='0.2*mod(floor(t/30),2)'", WEAK), HOUR, []),
    ("exposure: gain changes by a third within 2 s", "vtest.avi",
     scene("eq=eval=frame:contrast='1-0.33*clip(mod(t,60)/2,0,1)*lt(mod(t,60),30)'", WEAK), HOUR, []),
    ("dusk: an hour from full light to a tenth", "vtest.avi",
     scene(f"eq=eval=frame:contrast='1-0.9*t/{HOUR}':brightness='-0.3*t/{HOUR}'", WEAK), HOUR, []),
    ("infrared filter: colour to grey and darker, in two steps", "vtest.avi",
     scene("hue=s=0:enable='gte(mod(t,60),30)'",
           "eq=eval=frame:brightness='-0.2*gte(mod(t,60),30)+0.15*gte(mod(t,60),31.5)':"
           "contrast='1-0.4*gte(mod(t,60),30)'", WEAK), HOUR, []),
    ("rain: 200 streaks a picture", "vtest.avi",
     scene(WEAK + "[quiet]") +
     ";nullsrc=s=213x45:r=2,geq=lum='255*lt(random(1),0.02)':cb=128:cr=128,scale=640:360:flags=neighbor,"
     "format=gray[drops];[drops]split[alpha][drops];[alpha]lut=y=val/5[alpha];[drops][alpha]alphamerge[rain];"
     "[quiet][rain]overlay=shortest=1", HOUR, []),
    ("shaking: 3 pixels to and fro, for 10 s of each minute", "vtest.avi",
     DAY.replace("640:360", "656:376") +
     ";[still]crop=640:360:x='8+3*sin(t*7.1)*lt(mod(t,60),10)':y='8+2*sin(t*5.3)*lt(mod(t,60),10)'," + WEAK,
     HOUR, []),
]


def pictures(clip, filters, seconds):
    """JPEGs, one after the other."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", clip]
    command += ["-filter_complex" if ";" in filters else "-vf", filters]
    command += ["-t", str(seconds), "-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", "-f", "image2pipe", "-"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def found(jpegs, sensitivity):
    """Spans of motion, and the length of the clip in seconds."""
    run = subprocess.run([PROGRAM, str(sensitivity)], input=jpegs, stdout=subprocess.PIPE, check=True)
    said = run.stdout.decode().splitlines()
    return [tuple(map(float, line.split())) for line in said[:-1]], int(said[-1].split()[0]) / 2


def judge(spans, truth, seconds):
    """How many were found, of how many; false ones; false ones per hour without movement."""
    hit = sum(any(begin < end + LATE and last >= start for begin, last in spans) for start, end in truth)
    false = [it for it in spans if not any(it[0] < end + LATE and it[1] >= start for start, end in truth)]
    quiet = seconds - sum(end - start for start, end in truth)
    return hit, len(false), sum(last - begin + 0.5 for begin, last in false), max(quiet, 0)


def main(folder, wanted):
    sensitivities = [3, 5, 7]
    print("| scene | minutes | " + " | ".join(f"sensitivity {it}" for it in sensitivities) + " |")
    print("|---|---|" + "---|" * len(sensitivities))
    for name, clip, filters, seconds, truth in CASES:
        path = os.path.join(folder, clip)
        if wanted and not any(it in name for it in wanted) or not os.path.exists(path):
            continue
        cells, jpegs = [], pictures(path, filters, seconds)
        for sensitivity in sensitivities:
            spans, length = found(jpegs, sensitivity)
            hit, false, false_s, quiet = judge(spans, truth, length)
            cell = f"{hit} of {len(truth)}, " if truth else ""
            cell += f"{false} false" if not truth or quiet > 5 else "-"
            if false:
                cell += f" ({false * 3600 / quiet:.0f} an hour, {100 * false_s / quiet:.0f} % of the time)"
            cells.append(cell)
            if wanted:
                print(sensitivity, spans, file=sys.stderr)
        print(f"| {name} | {seconds / 60:.1f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
