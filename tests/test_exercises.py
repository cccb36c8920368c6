"""Every reference passes its own check; every known wrong answer is caught with a message that names it."""

import functools
import importlib.util

import pytest
import torch

from attnd_nb.exercises import Wrong, attempt, exercises, progress, report

LESSONS = [f"{n:02}" for n in range(14) if importlib.util.find_spec(f"attnd_nb.exercises.lesson_{n:02}")]
ALL = [exercise for lesson in LESSONS for exercise in exercises(lesson)]


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.name)
def test_reference_is_right_and_four_wrong_answers_are_known(exercise):
    exercise.check(exercise.reference)
    assert len(exercise.wrong) >= 4


@pytest.mark.parametrize("exercise, phrase", [(e, phrase) for e in ALL for phrase in e.wrong],
                         ids=lambda value: getattr(value, "name", value))
def test_wrong_answers_are_caught_by_name(exercise, phrase):
    with pytest.raises(Wrong) as caught:
        exercise.check(exercise.wrong[phrase])
    assert phrase in str(caught.value)


def test_attempt_goes_on_with_the_reference_until_the_answer_is_right(capsys):
    exercise = exercises("00")[0]

    def mine(*arguments, **options):
        return exercise.reference(*arguments, **options)

    def broken(*arguments, **options):
        return 1 / 0

    assert attempt("00.latents", lambda *a, **k: None) is exercise.reference
    assert attempt("00.latents", exercise.wrong["the seed is not used"]) is exercise.reference
    assert attempt("00.latents", broken) is exercise.reference
    progress("00")
    assert attempt("00.latents", mine) is mine
    progress("00")
    out = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1].split(".")[0] for line in out] == [
        "open", "not yet", "stopped with ZeroDivisionError", "0 of 1 exercises solved; open", "solved",
        "1 of 1 exercises solved"]
    assert "return 1 / 0" in out[2]


def test_a_forgotten_return_is_told_from_an_answer_not_written_yet(capsys):
    def empty(shape, seed, device="cpu"):
        """Noise of a seed."""

    def forgotten(shape, seed, device="cpu"):
        torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)

    for answer in (empty, forgotten, functools.partial(forgotten)):
        attempt("00.latents", answer)
    first, *others = capsys.readouterr().out.splitlines()
    assert "open" in first and len(others) == 2 and all("`return`" in line for line in others)


def test_the_answer_of_lesson_00_is_the_noise_of_the_package(tiny_sd):
    from attnd_nb.sampling import draw_noise

    size, generator = (64, 48), torch.Generator().manual_seed(3)
    noise = draw_noise(tiny_sd, 2, size, generator)
    assert torch.equal(noise, exercises("00")[0].reference(noise.shape, 3))


def test_unknown_exercises_are_named():
    with pytest.raises(ValueError, match="no exercise '00.nothing'; have .*00.latents"):
        attempt("00.nothing", print)
    with pytest.raises(ValueError, match="no exercises for lesson '99'"):
        exercises("99")


def test_report_prints_the_expected_number_only_within_the_tolerance(capsys):
    for measured in (0.5, 0.52, 0.55, float("nan")):
        report("x", measured, expected=0.5, within=0.03)
    assert capsys.readouterr().out.splitlines() == [
        "x: 0.5 (±0.03)", "x: 0.5 (±0.03)", "x: 0.55, not the expected 0.5 (±0.03)",
        "x: nan, not the expected 0.5 (±0.03)"]
    with pytest.raises(ValueError, match="no tolerance"):
        report("x", 0.5, expected=0.5, within=0)


@pytest.mark.parametrize("factor, text", [("0.25", "x: 0.51, not the expected 0.5 (±0.03)"), ("1", "x: 0.5 (±0.03)")])
def test_the_environment_narrows_tolerances(monkeypatch, capsys, factor, text):
    monkeypatch.setenv("ATTND_NB_TOLERANCE", factor)
    report("x", 0.51, expected=0.5, within=0.03)
    assert capsys.readouterr().out.strip() == text


def test_the_environment_never_widens_tolerances(monkeypatch, capsys):
    monkeypatch.setenv("ATTND_NB_TOLERANCE", "100")
    report("x", 0.6, expected=0.5, within=0.03)
    assert "not the expected" in capsys.readouterr().out
