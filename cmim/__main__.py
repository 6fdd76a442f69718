"""``python -m cmim VERB``, the same as ``cmim VERB``."""

from cmim.commands import main

if __name__ == "__main__":
    main()
