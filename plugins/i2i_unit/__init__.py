"""UNIT: translation through a shared latent space (Liu et al. 2017, arXiv 1703.00848; code of Huang et al. 2018)."""
