"""`python3 bench/variants/asyncio NAME --conf FILE`"""

import sys

from main import main

sys.exit(main())
