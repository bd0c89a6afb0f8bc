"""The optimizers there are. Standard library only."""

OPTIMIZERS = {  # value of optimizer.name and file in this folder -> what it is
    "adamw": "Adam with decoupled weight decay, as BERT was trained; equals Model Garden's AdamWeightDecay",
    "adam": "the same without weight decay",
}
