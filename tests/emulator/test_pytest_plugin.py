import subprocess
import sys

pytest_plugins = ["pytester"]


def test_loading_the_plug_in_loads_nothing_heavy():
    code = (
        "import sys, halfcascade.emulator.pytest_plugin;"
        "print([name for name in ('grpc', 'google.cloud', 'numpy', 'websockets', 'soundfile') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_fixtures_are_there_for_anybodys_tests(pytester):
    pytester.makepyfile(
        """
        import os

        async def test_environment(google_emulator):
            assert os.environ["SPEECH_EMULATOR_HOST"] == google_emulator.env["SPEECH_EMULATOR_HOST"]

        async def test_options(google_emulator_factory):
            google = await google_emulator_factory(profile="reference")
            assert google.profile.name == "reference"

        def test_it_is_gone_afterwards():
            assert "SPEECH_EMULATOR_HOST" not in os.environ
        """
    )
    result = pytester.runpytest_subprocess("-o", "asyncio_mode=auto", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)
