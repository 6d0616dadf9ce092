"""The app `bench` of the releases that releases.py makes: what takes long, which the product has none of."""
