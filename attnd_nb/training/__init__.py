"""The recipe that made `data/mini`: one command a stage, the same on CPU and GPU, each resumable and time-boxed.

    python -m attnd_nb.training data       --images 12000    # render the image world into shards
    python -m attnd_nb.training vae        --minutes 40      # the autoencoder
    python -m attnd_nb.training latents                      # every image through it, once
    python -m attnd_nb.training unet       --minutes 120     # the text encoder, which then rests, and the UNet
    python -m attnd_nb.training control    --minutes 20      # optional: a small ControlNet for outlines
    python -m attnd_nb.training export     --to data/mini    # diffusers folders
    python -m attnd_nb.training recogniser --minutes 10      # names things, materials and styles
    python -m attnd_nb.training evaluate                     # the figures of the model card

Everything lands under `runs/mini` (`--folder` names another), with a log, checkpoints and sheets of samples to look at.
`data/mini` is trained on, and not anew, with `vae --minutes 0 --begin data/mini`, `latents` and `unet --minutes 60 --begin
data/mini`. Once there are latents, `vae` trains the decoder alone: a changed encoder would want new latents, and a UNet that has
seen them.
"""
