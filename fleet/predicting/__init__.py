"""What a device has not measured yet, predicted from devices like it: numpy and scikit-learn."""
