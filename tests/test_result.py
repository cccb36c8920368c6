"""A result can be saved, read and made again."""

import csv
import json

import numpy as np
import pytest
import torch
from conftest import picture, seed
from PIL import Image

from attnd_nb import Schedule, Weights, guided_sample, optimize, replay


def test_saved_results_can_be_replayed(tiny_sd, tmp_path):
    content = picture(3, (90, 130))
    for name, result in {
        "transfer": optimize(
            tiny_sd, [picture(1), np.asarray(picture(2)) / 255], content, num_steps=2, generator=seed(4)
        ),
        "texture": optimize(tiny_sd, picture(1), size=(33, 50), num_images=2, num_steps=2, layers=[14, 15]),
        "weighted": optimize(
            tiny_sd, [picture(1), picture(2)], size=(32, 32), num_steps=2, learning_rate=Schedule(0.1, 0.01), layers=[14, 15],
            weights=Weights(ad=Schedule(1.0, 0.5), references=(3, 1), layers={-1: 2.0}),
        ),
        "noised content": guided_sample(tiny_sd, picture(1), content=content, strength=0.5, inner_steps=0, adain=True,
                                        num_inference_steps=2),
        "prompt": guided_sample(
            tiny_sd,
            picture(1),
            ["a", "b"],
            num_inference_steps=2,
            guidance_scale=2,
            negative_prompt="c",
            adain=True,
            generator=seed(5),
        ),
    }.items():
        folder = result.save(tmp_path / name)
        again = replay(folder, tiny_sd)
        assert torch.equal(again.latents, result.latents)
        assert again.losses == result.losses and again.seed == result.seed
        assert {k: v for k, v in again.settings.items() if k != "pictures"} == {
            k: v for k, v in result.settings.items() if k != "pictures"
        }
        changed = {"num_steps": 1} if name in ("transfer", "texture", "weighted") else {"inner_steps": 0, "learning_rate": None}
        other = replay(folder, tiny_sd, generator=seed(99), **changed)
        assert not torch.equal(other.latents, result.latents)


def test_files_hold_what_the_result_holds(tiny_sd, tmp_path):
    result = optimize(tiny_sd, picture(1), num_steps=3, num_images=2, generator=seed(), progress=False)
    folder = result.save(tmp_path / "a" / "b")
    assert sorted(path.name for path in folder.iterdir()) == [
        "image_0.png",
        "image_1.png",
        "input_style_0.png",
        "losses.csv",
        "losses.json",
        "settings.json",
    ]
    assert np.array_equal(np.asarray(Image.open(folder / "image_1.png")), np.asarray(result.images[1]))
    assert json.loads((folder / "losses.json").read_text()) == result.losses
    rows = list(csv.DictReader(open(folder / "losses.csv")))
    assert [float(row["total"]) for row in rows] == [entry["total"] for entry in result.losses]
    assert sum(name.startswith("ad:up_blocks") for name in rows[0]) == 6
    about = json.loads((folder / "settings.json").read_text())
    assert about["seed"] == 0 and about["verb"] == "optimize" and about["arguments"]["num_steps"] == 3
    assert about["model"]["class"] == "StableDiffusionPipeline" and about["versions"]["torch"]


def test_losses_add_up(tiny_sd):
    result = optimize(tiny_sd, picture(1), picture(2), content_weight=0.3, num_steps=3, progress=False)
    for entry in result.losses:
        assert np.isclose(entry["total"], sum(entry["ad"].values()) + 0.3 * sum(entry["content"].values()))


def test_sizes_that_were_changed_are_reported(tiny_sd, tmp_path):
    picture(1, (300, 200)).save(tmp_path / "style.png")
    result = optimize(tiny_sd, tmp_path / "style.png", size=(35, 50), num_steps=1, progress=False)
    assert result.settings["arguments"]["size"] == [35, 50]
    assert result.settings["output_size"] == [32, 48] and result.images[0].size == (48, 32)
    about = result.settings["pictures"]["style_0"]
    assert about == {"file": str(tmp_path / "style.png"), "size": [300, 200], "used_size": [80, 56]}
    assert result.inputs["style_0"].size == (56, 80)
    assert json.loads(json.dumps(result.settings)) == result.settings


def test_seeds_are_known_where_they_say_all(tiny_sd, tmp_path):
    drawn = optimize(tiny_sd, picture(1), num_steps=1, progress=False)
    fresh = torch.Generator().manual_seed(drawn.seed)
    assert torch.equal(
        optimize(tiny_sd, picture(1), num_steps=1, generator=fresh, progress=False).latents, drawn.latents
    )
    used = optimize(tiny_sd, picture(1), num_steps=1, generator=fresh, progress=False)
    assert used.seed is None
    with pytest.raises(ValueError, match="used before"):
        replay(used.save(tmp_path), tiny_sd)


def test_progress_obeys_its_argument(tiny_sd, capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    for progress, shown in ((False, False), (True, True)):
        optimize(tiny_sd, picture(1), num_steps=1, progress=progress)
        assert bool(capsys.readouterr().err) == shown
