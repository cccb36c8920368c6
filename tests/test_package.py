"""The package as it is handed out: light to import, complete as a wheel, pinned within its own ranges."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def python(code, **options):
    """Run code in a new interpreter; returns what it printed."""
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_neither_torch_nor_diffusers():
    loaded = python(["-c", "import attnd_nb, sys; print(*sys.modules)"]).split()
    assert "attnd_nb" in loaded
    assert not {"torch", "diffusers", "transformers", "matplotlib", "numpy"} & set(loaded)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel of this checkout, installed into a folder of its own, without network."""
    folder = tmp_path_factory.mktemp("wheel")
    python(["-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT)
    wheel, = folder.glob("*.whl")
    target = ["--target", str(folder / "site")]
    python(["-m", "pip", "install", "-q", "--no-deps", "--no-index", *target, str(wheel)])
    return folder / "site"


def test_a_wheel_finds_its_data_far_from_the_checkout(installed, tmp_path):
    code = ("import attnd_nb; from attnd_nb.models import mini_folder;"
            "print(attnd_nb.__file__); print(mini_folder())")
    module, mini = map(Path, python(["-c", code], cwd=tmp_path, env=_only(installed)).splitlines())
    assert module.is_relative_to(installed)
    assert mini == installed / "attnd_nb" / "_data" / "mini"
    assert {"content.png", "style.png", "texture.png"} <= {p.name for p in (mini.parent / "images").iterdir()}


def test_a_wheel_holds_every_module_and_every_data_file(installed):
    for source, target in (("attnd_nb", "attnd_nb"), ("data", "attnd_nb/_data")):
        here = {p.relative_to(ROOT / source) for p in (ROOT / source).rglob("*") if _is_content(p)}
        there = {p.relative_to(installed / target) for p in (installed / target).rglob("*") if _is_content(p)}
        assert here - there == set()


def test_a_wheel_runs_the_main_job_and_names_a_missing_picture(installed, tmp_path):
    done = subprocess.run([sys.executable, "-m", "attnd_nb", "--content", "nowhere.jpg"], cwd=tmp_path,
                          env=_only(installed), capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"attnd-nb: no picture at 'nowhere.jpg' .*\n", done.stderr)


def _only(site):
    return {**os.environ, "PYTHONPATH": str(site)}


def _is_content(path):
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def test_every_pin_of_the_environment_satisfies_the_ranges():
    lines = (ROOT / "environment.yml").read_text().split("- pip:\n")[1].splitlines()
    entries = [line.strip().removeprefix("- ") for line in lines if line.strip()]
    assert entries.pop() == "-e ."
    pins = {pin.name: pin for pin in map(Requirement, entries)}
    ranges = list(map(Requirement, sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])))
    assert pins.keys() == {wanted.name for wanted in ranges}
    for wanted in ranges:
        version, = (spec.version for spec in pins[wanted.name].specifier if spec.operator == "==")
        assert wanted.specifier.contains(version), f"{wanted} does not take {version}"


def test_the_readme_commands_set_up_what_environment_yml_pins():
    readme = (ROOT / "README.md").read_text()
    torch, = re.findall(r"- (torch==\S+)", (ROOT / "environment.yml").read_text())
    commands = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)
    assert [command.rsplit("&& ", 1)[1] for command in commands] == [
        ".venv/bin/python -m attnd_nb", ".venv/bin/python -m pytest"]
    assert all(f"install -q {torch} &&" in command for command in commands)


def test_the_default_pictures_are_renderings_of_their_scenes():
    """So every task on them has a ground truth: the scene in another style, wider, of other materials."""
    from attnd_nb.samples import sample, scene_of

    for name in ("content", "style", "texture"):
        picture = np.asarray(sample(name), np.float32) / 255
        error = np.abs(picture - scene_of(name).render(picture.shape[:2]))
        assert error.mean() < 0.002, f"data/images/{name}.png is not what its scene renders"
    with pytest.raises(ValueError, match="no sample 'nothing'; have .*content"):
        sample("nothing")


def test_the_main_job_makes_a_sheet_and_says_where(tiny_sd, tmp_path, monkeypatch, capsys):
    from conftest import picture
    from PIL import Image

    from attnd_nb.__main__ import main

    tiny_sd.save_pretrained(tmp_path / "model")
    for number, name in enumerate(("content", "style")):
        picture(number, (64, 96)).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("attnd_nb.__main__.INJECTED_STEPS", 3)
    assert main(["--content", "content.png", "--style", "style.png", "--model", "model", "--steps", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "contact sheet: out/contact_sheet.png"
    assert out[1].startswith("the course:    ")
    assert Image.open("out/contact_sheet.png").width > 6 * 256
    assert {p.name for p in Path("out").iterdir() if p.is_dir()} == {
        "transfer_injected", "texture_injected", "texture_distilled",
        *(f"{kind}_{weight}" for kind in ("transfer", "optimised") for weight in (0.1, 0.25, 0.5))}


def test_the_main_job_names_the_course_where_it_lies(tmp_path, monkeypatch):
    from attnd_nb import __main__ as job

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job.importlib.util, "find_spec", lambda name: name)
    assert job._course().endswith("notebooks/00_start_here.ipynb")
    monkeypatch.setattr(job, "__file__", str(tmp_path / "site-packages" / "attnd_nb" / "__main__.py"))  # from a wheel
    assert job._course() == "its notebooks are in the folder notebooks/ of the repository"
    (tmp_path / "handout").mkdir()
    (tmp_path / "handout" / "00_start_here.ipynb").touch()
    assert job._course().endswith("-m jupyterlab handout/00_start_here.ipynb")


@pytest.mark.parametrize("arguments, message", [
    (["--content", "nowhere.jpg"], "no picture at 'nowhere.jpg'"),
    (["--style", "broken.png"], "'broken.png' is not a picture"),
    (["--content", "fine.png", "--style", "fine.png", "--model", "no/such/model"], "no pipeline at"),
    (["--content", "fine.png", "--style", "fine.png", "--out", "fine.png"], "fine.png"),
    (["--content", "fine.png", "--style", "fine.png", "--steps", "1200"], "steps=1200, but the model has timesteps for 999"),
])
def test_the_main_job_names_what_was_wrong_in_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    from conftest import picture

    from attnd_nb.__main__ import main

    (tmp_path / "broken.png").write_text("no picture")
    picture(0).save(tmp_path / "fine.png")
    monkeypatch.chdir(tmp_path)
    if "--content" not in arguments:
        arguments = ["--content", "fine.png", *arguments]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_the_sheet_compares_pictures_as_the_model_saw_them():
    from types import SimpleNamespace

    from conftest import picture

    from attnd_nb.__main__ import WEIGHTS, _rows

    made = SimpleNamespace(images=[picture(1)], inputs={"content": picture(2), "style_0": picture(1)})
    names = ["transfer_injected", "texture_injected", "texture_distilled",
             *(f"{kind}_{weight}" for kind in ("transfer", "optimised") for weight in WEIGHTS)]
    transfer, texture = _rows(dict.fromkeys(names, made))
    assert not transfer[0][0].endswith("d = 0.00") and transfer[1] == ("style", picture(1))
    assert all(caption.endswith("d = 0.00") for caption, _ in transfer[2:] + texture[1:])


def test_the_main_job_refuses_no_steps(capsys):
    from attnd_nb.__main__ import main

    with pytest.raises(SystemExit) as stop:
        main(["--steps", "0"])
    assert stop.value.code == 2 and "'0' is no number of steps" in capsys.readouterr().err
