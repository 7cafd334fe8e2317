"""photo2cartoon: hourglass blocks and Soft-AdaLIN, the base model of Zhuang & Yang (arXiv 2007.13332)."""
