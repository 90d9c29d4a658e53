"""Kernels for a graphics card, in Triton: the top rungs of the ladder, written to be read.

In this order:

1. ``rnn``: the Elman network.  What a program, a block and a mask are, what lives where on the
   card, and how the recurrent weights stay on chip while the loop over time runs in the kernel.
2. ``common``: what every kernel here needs: products, tanh, how large a block is, whether the
   weights fit, and the class that launches.
3. ``lstm``: four gates and a second state.
4. ``gru``: a product that stands inside a nonlinearity, and two gradients where there was one.
5. ``gates``: where the weights do not fit on chip.  The loop over time is outside again, and a step
   is one product of torch's and one pointwise kernel.

Importing this package needs no Triton; importing one of its modules does.  On a CPU the kernels run
in Triton's interpreter: start Python with TRITON_INTERPRET=1 in its environment.

[Diamos et al. 2016, "Persistent RNNs"; Pöppel et al. 2024, "FlashRNN", arXiv 2412.07752]
"""
