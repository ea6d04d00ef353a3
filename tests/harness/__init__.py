"""What the tests from outside share: the runner (cases), the server under test (server), and its HTTP face (api)."""
