"""What is shown, in the reader's language; what is kept stays in English.

Records, plans and their digests are in one language, so that they compare whoever made them. Only what is
displayed is translated, at the moment of display, from one catalogue (``zh_CN.po``, made and checked by
``make words``). Device text and commands are never translated: views mark them with ``AsIs``.
"""

from runbook_lib.words.catalogue import ENGLISH, AsIs, asked_language, language, said, speak, speaking

__all__ = ["ENGLISH", "AsIs", "asked_language", "language", "said", "speak", "speaking"]
