"""What a fork server imports first: all that follows stays, so nobody need look for garbage in it.

That is a seventh of the time that torch, transformers and MLflow take. A process that was forked looks again.
"""

import gc

gc.disable()
