# SPDX-License-Identifier: MIT
"""Parts of umbra-android: formats (what is in a file), pieces (which files make a guest), machine (their
command line), adb (a small client), stages (how far a boot is), timeline (its record), main."""


class Problem(Exception):
    """Something the user can mend; the text is one sentence that says what was found and is needed."""
