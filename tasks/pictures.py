"""placeholder"""


class PredictionWriter:
    def __init__(self, d):
        pass
