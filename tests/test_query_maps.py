"""Maps of chosen queries agree with the whole attention, whatever the layer's resolution."""

import numpy as np
import pytest
import torch
from conftest import picture, unchanged

from attnd_nb import attention_map, encode, encode_prompt, predict, predict_noise, record
from attnd_nb.query_maps import QueryMaps, spotlight, tokens_for_half


@pytest.fixture
def maps(tiny_sd, content, style):
    return QueryMaps(tiny_sd, content, style)


def test_maps_are_those_of_a_plain_forward_pass(tiny_sd, maps, content, style):
    read = []
    for one in (content, style):
        with torch.no_grad(), record(tiny_sd, [15]) as features:
            predict_noise(tiny_sd, encode(tiny_sd, one), torch.tensor(261), encode_prompt(tiny_sd, ""))
        read += features.values()
    own, other = maps.at(2, 5, layer=15, head=0, timestep=261)
    for seen, whole in ((own, attention_map(read[0])), (other, attention_map(read[0], reference=read[1]))):
        assert seen.shape == (8, 8)
        np.testing.assert_allclose(seen.ravel(), whole[0, 0, 2 * 8 + 5], rtol=1e-4, atol=1e-6)
        assert abs(seen.sum() - 1) < 1e-5


def test_a_coarse_layer_answers_with_the_token_below(maps):
    assert (maps.rows, maps.columns) == (8, 8) and maps.at(0, 0, 10)[0].shape == (4, 4)
    for place in ((2, 4), (3, 4), (2, 5)):
        np.testing.assert_array_equal(maps.at(*place, 10)[0], maps.at(3, 5, 10)[0])
    assert not np.array_equal(maps.at(3, 5, 10)[0], maps.at(3, 6, 10)[0])


def test_the_mean_of_all_heads_is_the_mean(maps):
    for mean, *each in zip(maps.at(1, 1, 11), *[maps.at(1, 1, 11, head) for head in (0, 1)]):
        np.testing.assert_allclose(mean, np.mean(each, 0), rtol=1e-5)


def test_layers_are_named_or_counted_in_execution_order(maps):
    name = list(maps.numbers)[-1]
    assert maps.numbers[name] == 15 and name.startswith("up_blocks.3.attentions.2")
    for layer in (15, -1, name):
        np.testing.assert_array_equal(maps.at(0, 0, layer)[1], maps.at(0, 0, 15)[1])


def test_negative_indices_count_from_the_last_layer_also_where_it_was_not_read(tiny_sd, content, style):
    maps = QueryMaps(tiny_sd, content, style, layers=[3, 5])
    np.testing.assert_array_equal(maps.at(0, 0, -11)[1], maps.at(0, 0, 5)[1])
    with pytest.raises(ValueError, match="layer 15 was not read"):
        maps.at(0, 0, -1)


def test_pictures_of_other_sizes(tiny_sd, style):
    maps = QueryMaps(tiny_sd, picture(4, (48, 96)), picture(5, (32, 32)), layers=[15])
    own, other = maps.at(maps.rows - 1, maps.columns - 1, 15)
    assert own.shape == (maps.rows, maps.columns) and maps.columns == 2 * maps.rows
    assert other.shape == (8, 8)  # brought to the model's own area
    assert maps.pictures[0].size == (8 * maps.columns, 8 * maps.rows)


@pytest.mark.parametrize("arguments, message", [
    ({"row": 8}, r"place \(8, 0\) is not on the grid of 8 rows and 8 columns"),
    ({"column": -1}, "not on the grid"),
    ({"layer": 9}, "layer 9 was not read; read were 10"),
    ({"layer": "attn1"}, "layer 'attn1' was not read"),
    ({"head": 1}, "head 1 does not exist; layer 15 has heads 0 to 0"),
])
def test_what_does_not_exist_is_named(maps, arguments, message):
    with pytest.raises(ValueError, match=message):
        maps.at(**{"row": 0, "column": 0, "layer": 15, **arguments})


def test_each_timestep_is_read_once_and_the_model_is_left_alone(tiny_sd, content, style, monkeypatch):
    calls = []
    monkeypatch.setattr("attnd_nb.distillation.predict", lambda *a: calls.append(1) or predict(*a))
    with unchanged(tiny_sd):
        maps = QueryMaps(tiny_sd, content, style)
        for timestep in (1, 501, 1):
            assert maps.draw(3, 3, 15, timestep=timestep).width == 2 * 256 + 3 * 12
    assert len(calls) == 4


def test_the_light_is_brightest_where_the_map_is_and_the_place_is_marked():
    weights = np.zeros((4, 4))
    weights[1, 2], weights[3, 0] = 0.8, 0.2
    lit = np.asarray(spotlight(np.ones((64, 64, 3), np.float32), weights, dark=0)).astype(int)
    cells = lit.reshape(4, 16, 4, 16, 3).mean((1, 3, 4))
    assert cells[1, 2] == 255 and 120 < cells[3, 0] < 135 and np.count_nonzero(cells) == 2
    marked = np.asarray(spotlight(np.ones((64, 64, 3), np.float32), weights, (2, 3, 4, 4), dark=0)).astype(int)
    changed = np.argwhere((marked != lit).any(-1))
    assert changed.min(0).tolist() == [28, 44] and changed.max(0)[0] == 51  # a ring around rows 32 to 47, columns from 48


@pytest.mark.parametrize("weights", [np.zeros((2, 2)), -np.ones((2, 2)), np.full((2, 2), np.nan), np.ones(4)])
def test_maps_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="spotlight: weights are a map"):
        spotlight(np.ones((4, 4, 3), np.float32), weights)


def test_half_of_the_attention():
    assert tokens_for_half([0.25] * 4) == 2
    assert tokens_for_half([0.1, 0.5, 0.2, 0.2]) == 1
    assert tokens_for_half([0.49, 0.31, 0.2]) == 2
