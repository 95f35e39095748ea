"""Sample plots: where they are to stand, the files that crews bring, and what is found about them."""
