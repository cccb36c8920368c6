"""The recipe's parts on tiny budgets: what must hold whatever the weights are."""

import functools
import json

import numpy as np
import pytest
import torch

from attnd_nb import load_pipeline
from attnd_nb.training import data, export, latents, loop, text, unet, vae
from attnd_nb.training.__main__ import main
from attnd_nb.world import MATERIALS, STYLES, THINGS, VOCABULARY


@pytest.fixture(scope="module")
def tokenizer():
    return text.build_tokenizer(list(VOCABULARY))


def test_untrained_autoencoder_returns_a_blurred_copy():
    torch.manual_seed(0)
    model = vae.build().eval()
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    smooth = torch.stack([x, y, x * y])[None]
    with torch.no_grad():
        output = model.decode(model.encode(smooth).latent_dist.mean).sample
    assert (output - smooth).abs().mean() < 0.2  # a grey picture would be .42 off; the rest is the dark border of zero padding


def test_reconstruction_loss_is_zero_at_equality_and_sees_blur():
    x = torch.rand(1, 3, 32, 32)
    assert vae.reconstruction_loss(x, x) == 0
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    assert vae.reconstruction_loss(blurred, x) > 0.1


def test_every_word_of_the_world_is_one_token(tokenizer):
    assert [w for w in VOCABULARY if len(tokenizer.tokenize(w)) != 1] == []
    assert len({tokenizer.tokenize(w)[0] for w in VOCABULARY}) == len(VOCABULARY)


def test_tokenizer_survives_saving(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    from transformers import CLIPTokenizer

    caption = "an oil painting of a wooden fish on grass, gibberish"
    assert CLIPTokenizer.from_pretrained(tmp_path)(caption).input_ids == tokenizer(caption).input_ids


def test_longest_caption_fits(tokenizer):
    longest = max(MATERIALS, key=len), max(THINGS, key=len), max(STYLES, key=len)
    caption = "a stained glass window of a {0} {1}, a {0} {1} and a {0} {1} on a plain ground".format(*longest)
    assert len(tokenizer(caption).input_ids) <= text.MAX_TOKENS


def test_the_end_of_a_caption_comes_to_say_what_is_in_it(tokenizer):
    """Read at the last token, which is padding: before, "fish" and "house" are the same there."""
    torch.manual_seed(0)
    encoder = text.build_text_encoder(tokenizer)
    ids = text.token_ids(tokenizer, [f"a {material} {thing}" for material in ("wooden", "rusty") for thing in THINGS])
    fish, house = text.token_ids(tokenizer, ["a rusty fish", "a rusty house"])

    def likeness():
        with torch.no_grad():
            ends = encoder(torch.stack([fish, house]))[0][:, -1]
        return torch.nn.functional.cosine_similarity(*ends, dim=0)

    assert likeness() > 0.99
    text.train_text_encoder(encoder, ids, steps=250, batch=32)
    assert likeness() < 0.96


def test_the_shipped_model_tells_words_apart():
    pipe = load_pipeline("mini")
    ends = pipe.text_encoder(text.token_ids(pipe.tokenizer, [f"a {thing}" for thing in THINGS]))[0][:, -1]
    likeness = torch.nn.functional.cosine_similarity(ends[:, None], ends[None], dim=-1) - torch.eye(len(THINGS))
    assert likeness.max() < 0.97  # all were over .99 in a model whose pictures depended on no word


def test_training_attention_in_full_precision_changes_nothing():
    torch.manual_seed(0)
    model, z, states = unet.build(), torch.randn(1, vae.LATENT_CHANNELS, 16, 16), torch.randn(1, 4, 128)
    model.conv_out.reset_parameters()  # an untrained UNet says nothing, whatever comes in
    with torch.no_grad():
        before = model(z, 10, states).sample
        model.set_attn_processor(unet.FullPrecisionAttention())
        assert before.std() > 0.1 and torch.allclose(model(z, 10, states).sample, before, atol=1e-5)


def test_learning_rate_rises_stays_and_falls():
    rates = [loop.learning_rate(1.0, step, step / 1000) for step in range(1001)]
    assert rates[0] < 0.02 and rates[500] == 1.0 and rates[-1] == pytest.approx(0.02)
    assert all(b <= a for a, b in zip(rates[100:], rates[101:]))


def test_training_resumes_where_it_stopped(tmp_path):
    def start():
        torch.manual_seed(1)
        model = torch.nn.Linear(4, 1)
        return model, {"model": model, "optimizer": torch.optim.AdamW(model.parameters(), lr=1e-2)}

    def loss_of(model):
        return lambda progress: {"loss": model(torch.ones(8, 4)).square().mean()}

    model, state = start()
    loop.train("toy", tmp_path, state, loss_of(model), 1e-2, minutes=0.002)
    saved = torch.load(tmp_path / "toy.pt", weights_only=True)
    fresh, state = start()
    loop.train("toy", tmp_path, state, loss_of(fresh), 1e-2, minutes=0.001)  # already spent: loads, does nothing
    assert saved["step"] > 0 and torch.equal(fresh.weight, model.weight)


def test_the_average_lags_behind():
    layer = torch.nn.Linear(1, 1)
    ema = loop.Ema(layer, decay=0.9)
    before = ema.module.weight.clone()
    layer.weight.data += 1
    ema.update(layer, step=1)
    assert before < ema.module.weight < layer.weight


def test_an_average_that_is_resumed_keeps_its_long_memory():
    layer = torch.nn.Linear(1, 1)
    ema = loop.Ema(layer, decay=0.9995)
    layer.weight.data += 1
    ema.update(layer, step=20_001)  # what a resumed training tells it
    assert layer.weight - ema.module.weight > 0.999


def test_gradients_gather_where_the_optimizer_reads_them():
    """Also what is stored channels-last, and anew at every step: without the zeroing, gradients would add up."""
    torch.manual_seed(0)
    conv, x = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), torch.randn(2, 3, 8, 8)
    expected = torch.autograd.grad(conv(x).square().mean(), [*conv.parameters()])
    flat = loop._flat_gradients([*conv.parameters()])
    for _ in range(2):
        flat.zero_()
        conv(x).square().mean().backward()
    assert all(torch.allclose(p.grad, wanted) for p, wanted in zip(conv.parameters(), expected))
    assert torch.isclose(flat.square().sum(), sum(wanted.square().sum() for wanted in expected))


@pytest.mark.parametrize("minutes", [0.5, 60], ids=["at the end", "at the first line of the log"])
def test_a_loss_that_is_not_a_number_ends_the_training(tmp_path, monkeypatch, minutes):
    layer = torch.nn.Linear(1, 1)
    state = {"model": layer, "optimizer": torch.optim.AdamW(layer.parameters())}
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    with pytest.raises(FloatingPointError, match="probe: .*nan.* by step"):
        loop.train("probe", tmp_path, state, lambda _: {"loss": layer.weight.sum() * torch.nan}, 1e-3, minutes=minutes)
    assert not (tmp_path / "probe.pt").exists()


def test_latents_that_are_no_numbers_are_told_of(tmp_path):
    (tmp_path / "latents").mkdir()
    (tmp_path / "scaling_factor.txt").write_text("0.5")
    half = np.zeros((1, 2, 4, 4), np.float16)
    np.savez(tmp_path / "latents" / "00000.npz", full=half, half=half, captions=np.array([""]))
    assert latents.load(tmp_path)[2] == [""]
    half[0, 1, 2, 3] = np.nan
    np.savez(tmp_path / "latents" / "00000.npz", full=np.zeros_like(half), half=half, captions=np.array([""]))
    with pytest.raises(FloatingPointError, match="no numbers"):
        latents.load(tmp_path)


def test_crops_are_of_one_size_whole_halved_or_mirrored():
    column = np.arange(128, dtype=np.uint8)
    images = np.broadcast_to(column[:, None], (2, 128, 128, 3))  # to the right brighter by one a pixel
    crops = vae.crops(images, 64, 32, np.random.default_rng(0))
    assert crops.shape == (64, 3, 32, 32)
    slopes = (crops[:, 0, 0].diff() * 127.5).mean(dim=1).round().int().unique().tolist()
    assert slopes == [-2, -1, 1, 2]
    assert vae.crops(images, 3, 128, np.random.default_rng(0)).shape == (3, 3, 128, 128)  # nothing to halve


def test_batches_are_coarse_or_fine_and_drop_captions():
    full, half = torch.randn(6, 8, 32, 32), torch.randn(6, 8, 16, 16)
    ids, empty = torch.ones(6, 24, dtype=torch.long), torch.zeros(1, 24, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    dropped = []
    for coarse, side in ((True, 16), (False, 32)) * 10:
        clean, tokens = unet.batch_of(full, half, ids, empty, coarse, generator)
        assert clean.shape[1:] == (8, side, side) and len(tokens) == len(clean)
        dropped.append((tokens == 0).all(dim=1).float().mean())
    assert 0.05 < np.mean(dropped) < 0.25


def test_shards_are_reproducible_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 2)
    path = data.render_shard(tmp_path, 0, first_seed=5, size=64)
    images, captions, meta = data.load(tmp_path)
    before = path.stat().st_mtime_ns
    assert images.shape == (2, 64, 64, 3) and len(captions) == len(meta) == 2
    assert data.render_shard(tmp_path, 0, 5, 64).stat().st_mtime_ns == before
    (tmp_path / "again").mkdir()
    other = data.render_shard(tmp_path / "again", 0, 5, 64)
    assert np.array_equal(np.load(other)["images"], images)


def test_from_shards_to_a_pipeline_folder(tokenizer, tmp_path, monkeypatch):
    """Every stage once, nearly untrained: what comes out loads with diffusers alone, in full precision, and samples."""
    from diffusers import StableDiffusionPipeline

    monkeypatch.setattr(data, "SHARD", 2)
    monkeypatch.setattr(unet, "sheet", lambda *_: None)
    monkeypatch.setattr(vae, "sheet", lambda *_: None)
    monkeypatch.setattr(text, "train_text_encoder", functools.partial(text.train_text_encoder, steps=3))
    (tmp_path / "data").mkdir()
    data.render_shard(tmp_path / "data", 0, first_seed=0, size=256)
    vae.run(tmp_path, minutes=0.001, batch=2)
    latents.run(tmp_path)
    full, half, _ = latents.load(tmp_path)
    channels = vae.LATENT_CHANNELS
    assert full.shape == (2, channels, 32, 32) and half.shape == (2, channels, 16, 16)
    assert abs(float(full.float().std()) - 1) < 0.05
    unet.run(tmp_path, minutes=0.001)
    export.run(tmp_path, tmp_path / "mini")
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "mini", local_files_only=True)
    assert {part.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder)} == {torch.float32}
    assert json.loads((tmp_path / "mini" / "vae" / "config.json").read_text())["scaling_factor"] != 1.0
    again = tmp_path / "again"
    again.mkdir()
    for name in ("data", "latents", "scaling_factor.txt"):
        (again / name).symlink_to(tmp_path / name)
    shipped = {"unet": {f"unet.{name}": weight for name, weight in pipe.unet.state_dict().items()},
               "vae": pipe.vae.state_dict()}  # fmt: skip
    for stage, weights in shipped.items():  # no step: what training begins with
        command = ["training", stage, "--minutes", "0", "--begin", str(tmp_path / "mini"), "--folder", str(again)]
        monkeypatch.setattr("sys.argv", command)
        main()
        begun = torch.load(again / f"{stage}.pt", weights_only=True)["model"]
        assert all(torch.equal(weight, begun[name]) for name, weight in weights.items())
    words = [(folder / "tokenizer" / "tokenizer.json").read_text() for folder in (tmp_path / "mini", again)]
    assert words[0] == words[1], "the words have other numbers than those that the text encoder was trained with"
    pipe.set_progress_bar_config(disable=True)
    assert pipe("a fish", num_inference_steps=2).images[0].size == (256, 256)
