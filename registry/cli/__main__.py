"""`python -m registry.cli`: the same as `tanhui`."""

from registry.cli import main

if __name__ == "__main__":
    main()
